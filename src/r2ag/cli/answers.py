"""An answer on the terminal: written as it comes, then what it cites, and tables of its documents."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from rich.box import SIMPLE_HEAD
from rich.table import Column, Table
from rich.text import Text

from r2ag.answering.answers import Retrieved
from r2ag.answering.explain import Explanation
from r2ag.cli.output import clean, console, print_json
from r2ag.io.as_dict import answer_fields
from r2ag.pipeline import Pipeline
from r2ag.types import NOTHING_FOUND, Answer, ScoredDocument


@dataclass(frozen=True)
class Asking:
    """A pipeline, and the options with which a command asks it; see Pipeline.ask.

    Args:
        options: those of Pipeline.answer.
        compare: put plain RAG's answer beside every answer.
    """

    pipeline: Pipeline
    k: int
    where: str | None
    max_new_tokens: int
    system: str | None
    options: dict[str, Any]
    compare: bool

    def find(self, question: str) -> Retrieved:
        """See Pipeline.find."""
        return self.pipeline.find(question, k=self.k, where=self.where)

    def answer(self, found: Retrieved, stream: TextIO) -> tuple[Answer, str | None]:
        """Writes the answer as it comes; returns it with plain RAG's, which is None where nobody compares."""

        def write(piece: str) -> None:
            print(clean(piece, lines=True), end="", file=stream, flush=True)

        if self.compare:
            write("R²AG:      ")
        answer = self.pipeline.answer(
            found, max_new_tokens=self.max_new_tokens, system=self.system, on_text=write, **self.options
        )
        print(_instead_of_text(answer), file=stream)
        return answer, self.answer_plain(found, stream) if self.compare else None

    def answer_plain(self, found: Retrieved, stream: TextIO) -> str:
        """Writes plain RAG's answer behind its label."""
        text = self.pipeline.ask_plain(found, self.max_new_tokens, system=self.system)
        print(f"plain RAG: {clean(text, lines=True)}", file=stream)
        return text


def _instead_of_text(answer: Answer) -> str:
    if not answer.documents:
        return NOTHING_FOUND
    if answer.abstained:
        best = max(document.relevance_probability for document in answer.documents)
        return f"{NOTHING_FOUND} (The most relevant one is relevant with a probability of {best:.2f}.)"
    return "" if answer.text else "(The LLM wrote nothing.)"


def answer_one(asking: Asking, question: str, as_json: bool, stream: TextIO) -> None:
    """Answers one question, with citations and the table of documents, or as one JSON object."""
    answer, plain = asking.answer(asking.find(question), io.StringIO() if as_json else stream)
    if as_json:
        print_json(answer_fields(answer) | ({} if plain is None else {"plain_answer": plain}), stream)
        return
    print(file=stream)
    print_citations(answer, stream)
    if answer.documents:
        print_documents(answer, stream)


def print_citations(answer: Answer, stream: TextIO) -> None:
    """The documents that support the answer, and how many were shortened."""
    for document, source in zip(answer.documents, short_sources(answer.documents), strict=True):
        if document.rank in answer.citations:
            where = ", ".join(filter(None, [source, document.document.place]))
            print(f"Cited: [{document.rank}] {clean(document.document.title)} ({clean(where)})", file=stream)
    if not answer.abstained and not answer.citations:
        print("Cited: none; no relevant document that was read supports this answer.", file=stream)
    if answer.shortened:
        count = "1 document was" if answer.shortened == 1 else f"{answer.shortened} documents were"
        print(f"{count} shortened to fit what the LLM can read.", file=stream)


BAR_CELLS = 5
WIDTH_WITH_SOURCES = 64
WIDTH_WITH_FEATURES = 72
LEAST_FALL = 0.05  # nats, five per cent; less is within the LLM's rounding errors
MOST_TIMES = 1000
_SYMBOLS = {"relevance": "r", "precedent": "γ", "neighbour": "ζ"}
_NEAR = {"relevance": "near\nquestion", "precedent": "near\nabove", "neighbour": "near\nbeside"}


_Cell = Callable[[ScoredDocument], str | Text]
_Columns = list[tuple[Column, _Cell]]


def print_documents(answer: Answer, stream: TextIO) -> None:
    """Prints the documents at the terminal's width; long titles are cut, and a narrow terminal shows no sources."""

    def mark(document: ScoredDocument) -> str:
        if document.rank in answer.citations:
            return "cited"
        return "read" if document.used else ""

    sources = {d.rank: source for d, source in zip(answer.documents, short_sources(answer.documents), strict=True)}
    columns = [*_leading(stream), *_features(answer, _SYMBOLS), (Column(no_wrap=True), mark), _title(3)]
    if console(stream).width >= WIDTH_WITH_SOURCES:
        columns.append((Column("source", ratio=2), lambda document: _one_line(sources[document.rank])))
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
    anchor = [] if explanation is None else [(Column("its anchor made\nthe answer", no_wrap=True), effect)]
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


def _leading(stream: TextIO) -> _Columns:
    return [
        (Column("#", justify="right", no_wrap=True), lambda document: str(document.rank)),
        (
            Column("relevant", no_wrap=True),
            lambda document: _probability_bar(document.relevance_probability, stream),
        ),
    ]


def _features(answer: Answer, heads: Mapping[str, str]) -> _Columns:
    def column(name: str) -> tuple[Column, _Cell]:
        head = Column(heads.get(name, name), justify="right", no_wrap=True)
        return head, lambda document: f"{document.features[name]:.2f}" if name in document.features else ""

    return [column(name) for name in dict.fromkeys(name for d in answer.documents for name in d.features)]


def _title(ratio: int) -> tuple[Column, _Cell]:
    return Column("title", ratio=ratio), lambda document: _one_line(document.document.title)


def _print(answer: Answer, columns: _Columns, stream: TextIO) -> None:
    """Columns with a ratio share the width that is left, and their cells are cut where it ends."""
    table = Table(*(column for column, _ in columns), box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for document in answer.documents:
        table.add_row(*(cell(document) for _, cell in columns))
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
