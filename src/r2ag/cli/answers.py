"""An answer on the terminal: asked for with a command's options, written as it comes, then what it cites."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, TextIO

from r2ag.answering.answers import Retrieved
from r2ag.answering.explain import Explanation
from r2ag.cli.output import clean, print_json
from r2ag.cli.tables import print_documents, short_sources
from r2ag.io.as_dict import answer_fields
from r2ag.pipeline import Pipeline
from r2ag.types import NOTHING_FOUND, Answer


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
        printer = AnswerPrinter(stream, "R²AG:      " if self.compare else "")
        answer = self.pipeline.answer(
            found, max_new_tokens=self.max_new_tokens, system=self.system, on_text=printer.write, **self.options
        )
        printer.end(answer)
        return answer, self.answer_plain(found, stream) if self.compare else None

    def answer_plain(self, found: Retrieved, stream: TextIO) -> str:
        """Writes plain RAG's answer behind its label."""
        text = self.pipeline.ask_plain(found, self.max_new_tokens)
        print(f"plain RAG: {clean(text, lines=True)}", file=stream)
        return text

    def explain(self, found: Retrieved, answer: Answer) -> Explanation:
        """See Pipeline.explain."""
        return self.pipeline.explain(found, answer, max_new_tokens=self.max_new_tokens, system=self.system)


class AnswerPrinter:
    """Writes the answer behind a label as it comes."""

    def __init__(self, stream: TextIO, label: str = "") -> None:
        self._stream = stream
        self._label = label

    def write(self, piece: str) -> None:
        """Takes the next piece of the answer."""
        print(self._label + clean(piece, lines=True), end="", file=self._stream, flush=True)
        self._label = ""

    def end(self, answer: Answer) -> None:
        """Ends the line; says so where there is no answer."""
        if not answer.documents:
            self.write(NOTHING_FOUND)
        elif answer.abstained:
            best = max(document.relevance_probability for document in answer.documents)
            self.write(f"{NOTHING_FOUND} (The most relevant one is relevant with a probability of {best:.2f}.)")
        elif not answer.text:
            self.write("(The LLM wrote nothing.)")
        print(file=self._stream)


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
