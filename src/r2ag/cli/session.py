"""`r2ag ask` without a question: a conversation, with the models loaded once."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from typing import TextIO

from rich.text import Text

from r2ag.answering.answers import Retrieved
from r2ag.answering.follow_ups import Exchange
from r2ag.cli.answers import Asking, print_citations, print_documents, print_why, short_sources
from r2ag.cli.output import clean, console, note, print_facts
from r2ag.errors import InputError
from r2ag.method.prompting import check_question
from r2ag.types import Answer

PROMPT = "> "
COMMANDS = (
    ("/docs", "the documents of the last answer"),
    ("/docs N", "the text of document N"),
    ("/why", "what made the last answer"),
    ("/compare", "plain RAG's answer: the same LLM and documents, without R²AG"),
    ("/new", "start anew: forget the questions so far"),
    ("/help", "this list"),
    ("/quit", "leave; so does Ctrl-D"),
)


class Session:
    """Takes questions and commands, line by line, and remembers what follow-ups may refer to.

    Ctrl-C while an answer is written stops that answer: generation is a loop in this thread, which the interrupt ends
    at the next token. At the prompt it clears the line.

    Args:
        stream: answers go there; sentences about wrong input go to stderr.
    """

    def __init__(self, asking: Asking, stream: TextIO) -> None:
        self._asking = asking
        self._stream = stream
        self._history: list[Exchange] = []
        self._last: tuple[Retrieved, Answer] | None = None

    def run(self) -> None:
        """Takes lines until /quit, Ctrl-D or the end of the pipe."""
        at_terminal = sys.stdin.isatty()
        if at_terminal:
            note("Type a question, or /help.")
        for line in _typed(self._stream) if at_terminal else _piped():
            if line == "/quit":
                return
            try:
                self.take(line)
            except InputError as error:
                note(str(error))
            except KeyboardInterrupt:
                if not at_terminal:
                    raise
                print(file=self._stream)
                note("Stopped.")
            print(file=self._stream, flush=True)

    def take(self, line: str) -> None:
        """Answers a question, or does what a command says.

        Raises:
            InputError: the question can't be asked, there is no such command, or no answer yet that it could be about.
        """
        if not line.startswith("/"):
            self._ask(line)
            return
        match line.split():
            case ["/docs"]:
                print_documents(self._given()[1], self._stream)
            case ["/docs", number]:
                self._print_document(number)
            case ["/why"]:
                self._explain()
            case ["/compare"]:
                self._asking.answer_plain(self._given()[0], self._stream)
            case ["/new"]:
                self._history, self._last = [], None
                print("The questions so far are forgotten.", file=self._stream)
            case ["/help"]:
                print_facts(self._stream, *COMMANDS)
            case _:
                raise InputError(f"There is no command {line}; /help lists those there are.")

    def _ask(self, question: str) -> None:
        check_question(question)
        understood = self._asking.pipeline.stand_alone(question, self._history)
        if understood != question:
            print(f"Understood as: {clean(understood)}", file=self._stream, flush=True)
        found = self._asking.find(understood)
        answer, _ = self._asking.answer(found, self._stream)
        print_citations(answer, self._stream)
        joined = understood.endswith(question)
        self._history.append(Exchange(question if joined else understood, answer.text))
        self._last = found, answer

    def _given(self) -> tuple[Retrieved, Answer]:
        if self._last is None:
            raise InputError("There is no answer yet; type a question first.")
        if not self._last[1].documents:
            raise InputError("No documents were found for the last question.")
        return self._last

    def _print_document(self, number: str) -> None:
        documents = self._given()[1].documents
        if not number.isdecimal() or not 1 <= int(number) <= len(documents):
            raise InputError(f"There is no document {number}; the last answer has {len(documents)}.")
        rank = int(number)
        document = documents[rank - 1].document
        where = [short_sources(documents)[rank - 1], document.place, document.section]
        print(f"[{rank}] {clean(document.title)}", file=self._stream)
        print(clean(f"({', '.join(filter(None, where))})"), file=self._stream)
        console(self._stream).print(Text(clean(document.text, lines=True)))

    def _explain(self) -> None:
        found, answer = self._given()
        explanation = None
        reader = self._asking.pipeline.reader
        if not reader.engine.has_llm:
            note("The effect of the anchors can't be measured: vLLM, which writes the answers, does not expose it.")
        elif answer.text:
            note("Reading the answer again, leaving out one anchor after the other …")
            asking = self._asking
            explanation = asking.pipeline.explain(
                found, answer, max_new_tokens=asking.max_new_tokens, system=asking.system
            )
        print_why(answer, explanation, reader.adapter.config.calibration.threshold, self._stream)


def _typed(stream: TextIO) -> Iterator[str]:
    """Lines that are typed, with editing and a history that is not kept."""
    with suppress(ImportError):  # Windows has none
        import readline  # noqa: F401 - input() finds it
    while True:
        try:
            # input() edits only where sys.stdout is the terminal.
            with redirect_stdout(stream):
                line = input(PROMPT)
        except KeyboardInterrupt:
            print(file=stream)
            continue
        except EOFError:
            print(file=stream)
            return
        yield line.strip()


def _piped() -> Iterator[str]:
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    for line in sys.stdin:
        yield line.strip()
