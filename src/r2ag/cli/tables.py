"""Tables of an answer's documents: how relevant each is, why, and what it did to the answer."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from r2ag.answering.explain import Explanation
from r2ag.cli.output import clean, console
from r2ag.types import Answer, ScoredDocument

BAR_CELLS = 5
WIDTH_WITH_SOURCES = 64
WIDTH_WITH_FEATURES = 72
LEAST_FALL = 0.05  # nats, five per cent; less is within the LLM's rounding errors
MOST_TIMES = 1000
_SYMBOLS = {"relevance": "r", "precedent": "γ", "neighbour": "ζ"}
_NEAR = {"relevance": "near\nquestion", "precedent": "near\nabove", "neighbour": "near\nbeside"}


@dataclass(frozen=True)
class _Column:
    """A column; one with a `ratio` shares the width that is left, and its cells are cut where it ends."""

    head: str
    cell: Callable[[ScoredDocument], str | Text]
    justify: Literal["left", "right"] = "left"
    ratio: int | None = None


def print_documents(answer: Answer, stream: TextIO) -> None:
    """Prints the documents at the terminal's width; long titles are cut, and a narrow terminal shows no sources."""

    def mark(document: ScoredDocument) -> str:
        if document.rank in answer.citations:
            return "cited"
        return "read" if document.used else ""

    sources = {d.rank: source for d, source in zip(answer.documents, short_sources(answer.documents), strict=True)}
    columns = [*_leading(stream), *_features(answer, _SYMBOLS), _Column("", mark), _title(3)]
    if console(stream).width >= WIDTH_WITH_SOURCES:
        columns.append(_Column("source", lambda document: _one_line(sources[document.rank]), ratio=2))
    _print(answer, columns, stream)


def print_why(answer: Answer, explanation: Explanation | None, threshold: float, stream: TextIO) -> None:
    """Prints what the LLM was told of each document besides its text, what that did, and what the words mean.

    Args:
        explanation: None where there is no answer to explain.
        threshold: the probability of relevance below which no question is answered.
    """

    def effect(document: ScoredDocument) -> str:
        return in_times(explanation.falls[document.rank]) if explanation and document.used else "(not read)"

    target = console(stream)
    features = _features(answer, _NEAR) if target.width >= WIDTH_WITH_FEATURES else []
    anchor = [] if explanation is None else [_Column("its anchor made\nthe answer", effect)]
    _print(answer, [*_leading(stream), *features, *anchor, _title(1)], stream)
    for sentence in _sentences(answer, explanation, threshold, bool(features)):
        target.print(Text(sentence))


def short_sources(documents: Sequence[ScoredDocument]) -> list[str]:
    """Where each document comes from, without the folders that all of them share."""
    paths = [Path(scored.document.source).absolute() for scored in documents]
    try:
        shared = os.path.commonpath([path.parent for path in paths])
    except ValueError:  # Windows: on several drives
        return [str(path) for path in paths]
    return [str(path.relative_to(shared)) for path in paths]


def in_times(fall: float) -> str:
    """What a fall in nats says of the answer: "2.1 × likelier", "1.4 × less likely" or "no different"."""
    if abs(fall) < LEAST_FALL:
        return "no different"
    direction = "likelier" if fall > 0 else "less likely"
    if abs(fall) > math.log(MOST_TIMES):
        return f"over {MOST_TIMES:,} × {direction}"
    times = math.exp(abs(fall))
    return f"{times:.1f} × {direction}" if times < 10 else f"{times:.0f} × {direction}"


def _leading(stream: TextIO) -> list[_Column]:
    return [
        _Column("#", lambda document: str(document.rank), "right"),
        _Column("relevant", lambda document: _probability_bar(document.relevance_probability, stream)),
    ]


def _features(answer: Answer, heads: Mapping[str, str]) -> list[_Column]:
    def column(name: str) -> _Column:
        return _Column(
            heads.get(name, name), lambda d: f"{d.features[name]:.2f}" if name in d.features else "", "right"
        )

    return [column(name) for name in dict.fromkeys(name for d in answer.documents for name in d.features)]


def _title(ratio: int) -> _Column:
    return _Column("title", lambda document: _one_line(document.document.title), ratio=ratio)


def _print(answer: Answer, columns: Sequence[_Column], stream: TextIO) -> None:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column in columns:
        table.add_column(column.head, justify=column.justify, no_wrap=column.ratio is None, ratio=column.ratio)
    for document in answer.documents:
        table.add_row(*(column.cell(document) for column in columns))
    console(stream).print(table)


def _probability_bar(probability: float, stream: TextIO) -> Text:
    """A probability as five cells and a number."""
    cell = "█" if (stream.encoding or "").lower().startswith("utf") else "#"
    filled = round(probability * BAR_CELLS)
    return Text.assemble((cell * filled, "green"), " " * (BAR_CELLS - filled), f" {probability:.2f}")


def _one_line(text: str) -> Text:
    return Text(clean(text), no_wrap=True, overflow="ellipsis")


def _sentences(answer: Answer, explanation: Explanation | None, threshold: float, with_features: bool) -> list[str]:
    sentences = ["relevant: how probable it is that the document bears on the question."]
    if with_features:
        sentences.append(
            "near: how similar in meaning it is to the question, to the documents above it, and to those just above "
            "and below; 1 is the same, 0 is unrelated."
        )
    if explanation is not None:
        sentences.append(
            "anchor: what the LLM is told of a document besides its text. To measure its effect, the answer was read "
            "again with an anchor without information in its place. All anchors together made the answer "
            f"{in_times(explanation.fall_of_all)}."
        )
    elif answer.abstained:
        sentences.append(f"No document is relevant with a probability of {threshold:.2f}, so the LLM was not asked.")
    return sentences
