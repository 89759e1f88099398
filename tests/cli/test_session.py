from __future__ import annotations

import builtins
import io
import sys
from collections.abc import Callable, Iterator

import pytest
from rich.cells import cell_len

from r2ag.adapter.loading import PRETRAINED
from r2ag.answering.explain import Explanation
from r2ag.cli.answers import in_times, print_why
from r2ag.cli.output import clean
from r2ag.pipeline import Pipeline
from r2ag.samples import documents_folder
from r2ag.types import Answer, Document, ScoredDocument
from tests.cli.conftest import Command, Outcome, Tiny

Typed = Callable[..., Outcome]


@pytest.fixture
def piped(r2ag: Command, tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """A session whose lines come from a pipe."""

    def run(*lines: str, options: tuple[object, ...] = (), stdin: type[io.StringIO] = io.StringIO) -> Outcome:
        monkeypatch.setattr("sys.stdin", stdin("".join(f"{line}\n" for line in lines)))
        common = ("--docs", tiny.documents, "--adapter", tiny.adapter, "--k", 3, "--max-new-tokens", 4)
        return r2ag("ask", *common, *options)

    return run


def test_questions_from_a_pipe_are_answered_as_one_by_one(piped: Typed, r2ag: Command, tiny: Tiny) -> None:
    questions = ("Which bridge was built?", "Which river was built?")
    outcome = piped(*questions)
    assert outcome.status == 0, outcome.err
    assert "> " not in outcome.out
    assert outcome.out.count("Cited:") == 2
    assert outcome.err.count("Loading the models") == 1
    for question, shown in zip(questions, outcome.out.split("\n\n"), strict=False):
        common = ("--docs", tiny.documents, "--adapter", tiny.adapter, "--k", 3, "--max-new-tokens", 4)
        assert r2ag("ask", question, *common).out.startswith(shown.split("Cited")[0].rstrip("\n"))


def test_a_wrong_line_gets_a_sentence_and_the_session_goes_on(piped: Typed) -> None:
    outcome = piped("/docs", "", "x" * 30_000, "/frob", "/docs 1 2", "Which bridge?", "/docs 4", "/docs no")
    assert outcome.status == 0
    sentences = outcome.err.split("passages …\n")[1].splitlines()
    assert [sentence.split(";")[0] for sentence in sentences] == [
        "There is no answer yet",
        "The question is empty",
        "The question has 30,000 characters",
        "There is no command /frob",
        "There is no command /docs 1 2",
        "There is no document 4",
        "There is no document no",
    ]
    assert outcome.out.count("Cited:") == 1


def test_the_documents_of_the_last_answer(piped: Typed) -> None:
    out = piped("Which bridge?", "/docs", "/docs 2").out
    table, text = out.split("Cited:")[1].split("\n[2] ")
    rows = [line for line in table.splitlines() if ".md" in line and line.split()[0].isdecimal()]
    assert [row.split()[0] for row in rows] == ["1", "2", "3"]
    title, where, body = text.strip().splitlines()
    assert title in rows[1]
    assert where.removeprefix("(").split(", ")[:2] == [rows[1].split()[-1], "line 3"]
    assert body.endswith("was built in 1471.")


def test_why_and_compare_are_about_the_last_answer(piped: Typed) -> None:
    outcome = piped("Which bridge?", "/compare", "/why")
    assert "plain RAG: " in outcome.out
    assert "its anchor made" in outcome.out
    assert "All anchors together" in " ".join(outcome.out.split())


def test_comparing_may_be_on_from_the_start(piped: Typed) -> None:
    out = piped("Which bridge?", options=("--compare",)).out
    assert out.startswith("R²AG:      ")
    assert "\nplain RAG: " in out


def test_a_follow_up_is_understood_and_new_forgets(piped: Typed) -> None:
    outcome = piped("Which bridge was built?", "Why?", "/new", "Why?", "/docs 1")
    assert outcome.out.count("Understood as: Which bridge was built? Why?") == 1
    assert outcome.out.count("Understood as") == 1


def test_follow_ups_of_follow_ups_stay_short(piped: Typed) -> None:
    out = piped("Which bridge was built?", "And the river?", "And the town?", "And the mason?").out
    assert "Understood as: Which bridge was built? And the town? And the mason?\n" in out


def test_quit_ends_it(piped: Typed) -> None:
    outcome = piped("/help", "/quit", "Which bridge?")
    assert outcome.status == 0
    assert "/why" in outcome.out
    assert "Cited" not in outcome.out


def test_files_that_a_shell_put_where_the_question_would_be(
    r2ag: Command, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("Which bridge?\n/docs\n"))
    outcome = r2ag("ask", "--adapter", tiny.adapter, "--docs", *sorted(tiny.documents.iterdir())[:3])
    assert outcome.status == 0
    assert "Encoding 3 passages" in outcome.err


def test_one_object_for_one_question(r2ag: Command, tiny: Tiny) -> None:
    assert "--json" in r2ag.refused("ask", "--docs", tiny.documents, "--json")


def test_k_is_checked_before_anything_is_typed(r2ag: Command, tiny: Tiny) -> None:
    assert "1 to 32" in r2ag.refused("ask", "--docs", tiny.documents, "--adapter", tiny.adapter, "--k", 33)


# At a terminal


class Terminal(io.StringIO):
    """Says that someone sits there."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def typed(piped: Typed, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """A session whose lines are typed; an exception in their place is what a key does."""

    def run(*lines: str | BaseException, options: tuple[object, ...] = ()) -> Outcome:
        keys: Iterator[str | BaseException] = iter([*lines, EOFError()])

        def typing(prompt: str) -> str:
            assert sys.stdout is not sys.stderr, "input() edits where stdout is the terminal"
            print(prompt, end="")
            line = next(keys)
            if isinstance(line, BaseException):
                raise line
            return line

        monkeypatch.setattr(builtins, "input", typing)
        return piped(options=options, stdin=Terminal)

    return run


def test_a_terminal_is_prompted_until_ctrl_d(typed: Typed) -> None:
    outcome = typed("Which bridge?", KeyboardInterrupt(), "/new")
    assert outcome.status == 0
    assert outcome.out.count("> ") == 4
    assert outcome.out.endswith("> \n")
    assert "Type a question, or /help." in outcome.err


def test_ctrl_c_stops_an_answer_and_not_the_session(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = list[str]()

    def interrupted(piece: str, lines: bool = False) -> str:
        pieces.append(piece)
        if len(pieces) == 2:
            raise KeyboardInterrupt
        return clean(piece, lines)

    monkeypatch.setattr("r2ag.cli.answers.clean", interrupted)
    outcome = typed("Which bridge?", "/docs", "Why?", options=("--no-abstain", "--max-new-tokens", 16))
    assert outcome.status == 0
    assert "\nStopped.\n" in outcome.err
    assert "There is no answer yet" in outcome.err, "a stopped answer is none"
    assert "Understood" not in outcome.out
    assert outcome.out.count("Cited:") == 1


def test_ctrl_c_ends_a_session_that_nobody_types(piped: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Pipeline, "answer", interrupted)
    outcome = piped("Which bridge?", "Which river?")
    assert (outcome.status, outcome.err.splitlines()[-1]) == (130, "Stopped.")


# Why


@pytest.mark.parametrize(
    ("fall", "words"),
    [
        (0.0, "no different"),
        (-0.04, "no different"),
        (0.7, "2.0 × likelier"),
        (-0.7, "2.0 × less likely"),
        (4.0, "55 × likelier"),
        (5000.0, "over 1,000 × likelier"),
    ],
)
def test_nats_in_words(fall: float, words: str) -> None:
    assert in_times(fall) == words


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_the_reasons_fit_the_terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    features = {"relevance": 0.5, "precedent": 0.25, "neighbour": 1.0}
    documents = tuple(
        ScoredDocument(rank, Document("text", title="[red]蜜蜂\x1b[2J " * 20), features, 0.5, used=rank != 2)
        for rank in range(1, 4)
    )
    stream = io.StringIO()
    print_why(Answer("q", "a", documents), Explanation(-3.0, {1: 5000.0, 3: -1.0}, 2.0), 0.4, stream)
    shown = stream.getvalue()
    assert max(map(cell_len, shown.splitlines())) <= width
    assert "\x1b" not in shown
    assert ("near" in shown) == (width >= 80)
    for words in ("over 1,000 × likelier", "(not read)", "2.7 × less likely", "7.4 × likelier"):
        assert words in " ".join(shown.split())


def test_where_the_llm_was_not_asked_the_reason_is_the_threshold() -> None:
    stream = io.StringIO()
    documents = (ScoredDocument(1, Document("text"), {}, 0.1, used=False),)
    print_why(Answer("q", "", documents, abstained=True), None, 0.4321, stream)
    assert "probability of 0.43, so the LLM was not asked." in stream.getvalue()
    assert "anchor" not in stream.getvalue()


# The default models


@pytest.mark.skipif(not PRETRAINED.is_dir(), reason="the shipped adapter is not there yet")
@pytest.mark.model
def test_a_conversation_about_the_samples(r2ag: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["Who invented the paper coffee filter?", "Where did she live?", "/why", "/docs 1"]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines)))
    outcome = r2ag("ask", "--docs", documents_folder(), "--no-abstain")
    assert outcome.status == 0, outcome.err
    assert "Bentz" in outcome.out
    assert "Understood as: " in outcome.out
    assert all(len(line) <= 80 for line in outcome.out.split("its anchor made")[1].splitlines())
