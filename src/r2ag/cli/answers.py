"""An answer on the terminal: asked for with a command's options, written as it comes, then what it cites."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from r2ag.cli.documents import short_sources
from r2ag.cli.output import clean
from r2ag.types import NOTHING_FOUND

if TYPE_CHECKING:
    from r2ag.answering.answers import Retrieved
    from r2ag.answering.explain import Explanation
    from r2ag.pipeline import Pipeline
    from r2ag.types import Answer


@dataclass(frozen=True)
class Asking:
    """A pipeline, and the options with which a command asks it."""

    pipeline: Pipeline
    k: int
    where: str | None
    max_new_tokens: int
    prune: bool
    abstain: bool
    system: str | None

    def find(self, question: str) -> Retrieved:
        """See Pipeline.find."""
        return self.pipeline.find(question, k=self.k, where=self.where)

    def answer(self, found: Retrieved, on_text: Callable[[str], None]) -> Answer:
        """See Pipeline.answer."""
        return self.pipeline.answer(
            found,
            max_new_tokens=self.max_new_tokens,
            prune=self.prune,
            abstain=self.abstain,
            system=self.system,
            on_text=on_text,
        )

    def answer_plain(self, found: Retrieved) -> str:
        """See Pipeline.ask_plain."""
        return self.pipeline.ask_plain(found, self.max_new_tokens)

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
            self.write(f"{NOTHING_FOUND} (The most relevant one is so with a probability of {best:.2f}.)")
        elif not answer.text:
            self.write("(The LLM wrote nothing.)")
        print(file=self._stream)


def print_plain(text: str, stream: TextIO) -> None:
    """Plain RAG's answer behind its label."""
    print(f"plain RAG: {clean(text, lines=True)}", file=stream)


def print_citations(answer: Answer, stream: TextIO) -> None:
    """The documents that bear the answer out, and what else a reader should know of it."""
    for document, source in zip(answer.documents, short_sources(answer.documents), strict=True):
        if document.rank in answer.citations:
            where = ", ".join(filter(None, [source, document.document.place]))
            print(f"Cited: [{document.rank}] {clean(document.document.title)} ({clean(where)})", file=stream)
    if not answer.abstained and not answer.citations:
        print("Cited: none; no relevant document that was read bears this answer out.", file=stream)
    if answer.shortened:
        count = "1 document was" if answer.shortened == 1 else f"{answer.shortened} documents were"
        print(f"{count} shortened to fit what the LLM can read.", file=stream)
