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
Seed = Annotated[int, typer.Option("--seed", min=0, help="Same seed, same result on one machine.")]
Limit = Annotated[
    int | None,
    typer.Option("--limit", min=1, metavar="N", help="Take N records, drawn by the seed.", show_default="all"),
]
MoreFiles = Annotated[list[Path] | None, typer.Argument(metavar="FILE", hidden=True)]
"""What follows the first value of --data: an option itself takes one value each time it is given."""
