"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Llm = Annotated[
    str | None,
    typer.Option("--llm", metavar="MODEL", help="The LLM: a folder or a hub name.", show_default="the adapter's"),
]
Retriever = Annotated[
    str | None,
    typer.Option(
        "--retriever",
        metavar="MODEL",
        help="The bi-encoder (sentence-transformers): a folder or a hub name.",
        show_default="the adapter's",
    ),
]
AdapterName = Annotated[
    str | None,
    typer.Option(
        "--adapter", metavar="ADAPTER", help="An adapter's folder or hub name.", show_default="the shipped one"
    ),
]
GivenAdapter = Annotated[
    str, typer.Option("--adapter", metavar="ADAPTER", help="An adapter's folder or hub name.", show_default=False)
]
EncoderName = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        metavar="MODEL",
        help="The encoder whose vectors the store holds: a folder, a hub name, or what --embeddings-url calls it.",
        show_default="the adapter's",
    ),
]
EmbeddingsUrl = Annotated[
    str | None,
    typer.Option(
        "--embeddings-url",
        metavar="URL",
        help="An OpenAI-compatible server that has the --encoder, as in http://localhost:11434/v1; "
        "its key is taken from OPENAI_API_KEY.",
        show_default="none",
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        "--threshold",
        min=0,
        max=1,
        metavar="P",
        help="The probability of relevance from which on a document counts, to answer from and to cite.",
        show_default="the adapter's",
    ),
]
DocsToAnswerFrom = Annotated[
    list[Path] | None,
    typer.Option(
        "--docs",
        metavar="PATH…",
        help="Files, folders or patterns to answer from; more may follow, or repeat --docs.",
        show_default=False,
    ),
]
StoreInstead = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="STORE",
        help="A store that r2ag index made, instead: a folder, postgresql://… or qdrant+http://…",
        show_default=False,
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Same seed, same result on one machine.")]
Limit = Annotated[
    int | None,
    typer.Option("--limit", min=1, metavar="N", help="Take N records, drawn by the seed.", show_default="all"),
]
RecordFiles = Annotated[
    list[Path],
    typer.Option("--data", metavar="FILE…", help="Files of records (JSON lines); more may follow.", show_default=False),
]
MaxNewTokens = Annotated[int, typer.Option("--max-new-tokens", min=1, help="The longest answer, in tokens.")]
ListsAtOnce = Annotated[int, typer.Option("--batch-size", min=1, help="Lists read at once; more helps a GPU.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
MoreFiles = Annotated[list[Path] | None, typer.Argument(metavar="FILE", hidden=True)]
"""What follows the first value of --data: an option itself takes one value each time it is given."""
MorePaths = Annotated[list[Path] | None, typer.Argument(metavar="PATH", hidden=True)]
"""The same, of --docs and --pool."""
