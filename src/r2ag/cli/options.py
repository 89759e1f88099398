"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option

# Models

Llm = Annotated[
    str | None, Option(metavar="MODEL", help="The LLM: a folder or a hub name.", show_default="the adapter's")
]
Retriever = Annotated[
    str | None,
    Option(
        metavar="MODEL",
        help="The bi-encoder (sentence-transformers): a folder or a hub name.",
        show_default="the adapter's",
    ),
]
Adapter = Annotated[
    str | None, Option(metavar="ADAPTER", help="An adapter's folder or hub name.", show_default="the shipped one")
]
GivenAdapter = Annotated[str, Option(metavar="ADAPTER", help="An adapter's folder or hub name.", show_default=False)]
Threshold = Annotated[
    float | None,
    Option(
        min=0,
        max=1,
        metavar="P",
        help="The probability of relevance below which a document is not cited; if all are below, there is no answer.",
        show_default="the adapter's",
    ),
]
EngineName = Literal["transformers", "vllm"]
Engine = Annotated[
    EngineName, Option(help="What the LLM runs in: this process, or the vLLM server that --engine-url names.")
]
EngineUrl = Annotated[
    str | None,
    Option(
        metavar="URL",
        help="A vLLM server with --enable-prompt-embeds, as in http://127.0.0.1:8001/v1; its key is taken from "
        "OPENAI_API_KEY.",
        show_default="none",
    ),
]

# Documents

Docs = Annotated[
    list[Path] | None,
    Option(
        metavar="PATH…",
        help="Files, folders or patterns to answer from (text, Markdown, HTML, PDF, Word); more may follow, or repeat "
        "--docs.",
        show_default=False,
    ),
]
MorePaths = Annotated[list[Path] | None, Argument(metavar="PATH", hidden=True)]
"""What follows the first value of --docs or --pool: an option itself takes one value each time it is given."""
Store = Annotated[
    str | None,
    Option(
        metavar="STORE",
        help="A store that r2ag index made, instead: a folder, postgresql://… or qdrant+http://…",
        show_default=False,
    ),
]
FinderName = Literal["dense", "bm25", "hybrid"]
Finder = Annotated[FinderName, Option(help="How a store is searched: by vectors, by words, or by both.")]
Reranker = Annotated[
    str | None,
    Option(
        metavar="MODEL",
        help="A cross-encoder (sentence-transformers) that reorders what a store finds.",
        show_default="none",
    ),
]
Encoder = Annotated[
    str | None,
    Option(
        metavar="MODEL",
        help="The encoder whose vectors the store holds: a folder, a hub name, or its name at --embeddings-url.",
        show_default="the adapter's",
    ),
]
EmbeddingsUrl = Annotated[
    str | None,
    Option(
        metavar="URL",
        help="An OpenAI-compatible server that has the --encoder, as in http://localhost:11434/v1; "
        "its key is taken from OPENAI_API_KEY.",
        show_default="none",
    ),
]

# Records and runs

RecordFiles = Annotated[
    list[Path], Option(metavar="FILE…", help="Files of records (JSON lines); more may follow.", show_default=False)
]
MoreFiles = Annotated[list[Path] | None, Argument(metavar="FILE", hidden=True)]
"""The same as MorePaths, after the first value of --data."""
Limit = Annotated[int | None, Option(min=1, metavar="N", help="Take N records, drawn by the seed.", show_default="all")]
Seed = Annotated[int, Option(min=0, help="The same seed gives the same result on one machine.")]
MaxNewTokens = Annotated[int, Option(min=1, help="The longest answer, in tokens.")]
BatchSize = Annotated[int, Option(min=1, help="Lists of documents read at once; more helps a GPU.")]
AsJson = Annotated[bool, Option("--json", help="Print one JSON object and nothing else.")]
