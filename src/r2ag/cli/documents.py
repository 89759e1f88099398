"""The table of an answer's documents: how relevant each is, why, and what became of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from r2ag.cli.output import clean, console

if TYPE_CHECKING:
    from rich.text import Text

    from r2ag.types import Answer, ScoredDocument

BAR_CELLS = 5
WIDTH_WITH_SOURCES = 64
_SYMBOLS = {"relevance": "r", "precedent": "γ", "neighbour": "ζ"}


def print_documents(answer: Answer, stream: TextIO) -> None:
    """Prints the table at the terminal's width; titles and sources are cut, never wrapped, and sources go first."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    target = console(stream)
    has_sources = target.width >= WIDTH_WITH_SOURCES
    names = list(dict.fromkeys(name for document in answer.documents for name in document.features))
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("relevant", no_wrap=True)
    for name in names:
        table.add_column(_SYMBOLS.get(name, name), justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("title", ratio=3)
    if has_sources:
        table.add_column("source", ratio=2)
    for document, source in zip(answer.documents, short_sources(answer.documents), strict=True):
        table.add_row(
            str(document.rank),
            probability_bar(document.relevance_probability, stream),
            *(f"{document.features[name]:.2f}" if name in document.features else "" for name in names),
            _mark(document, answer),
            one_line(document.document.title),
            *([one_line(source)] if has_sources else []),
        )
    target.print(table)


def short_sources(documents: Sequence[ScoredDocument]) -> list[str]:
    """Where each document comes from, without the folders that all of them share."""
    paths = [Path(scored.document.source).absolute() for scored in documents]
    try:
        shared = os.path.commonpath([path.parent for path in paths])
    except ValueError:  # Windows: on several drives
        return [str(path) for path in paths]
    return [str(path.relative_to(shared)) for path in paths]


def probability_bar(probability: float, stream: TextIO) -> Text:
    """A probability as five cells and a number."""
    from rich.text import Text

    cell = "█" if (stream.encoding or "").lower().startswith("utf") else "#"
    filled = round(probability * BAR_CELLS)
    return Text.assemble((cell * filled, "green"), " " * (BAR_CELLS - filled), f" {probability:.2f}")


def one_line(text: str) -> Text:
    """Text that is cut where its column ends."""
    from rich.text import Text

    return Text(clean(text), no_wrap=True, overflow="ellipsis")


def _mark(document: ScoredDocument, answer: Answer) -> str:
    if document.rank in answer.citations:
        return "cited"
    return "read" if document.used else ""
