"""Questions and answers out of passages, by an LLM that is not believed: only what passes the checks is kept.

A question is kept where the LLM, asked again, gives its answer from the passage, and does not give it without. The
answer must stand in the passage, so that distractors can be told from it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TextIO

from r2ag.method.prompting import PromptTemplate
from r2ag.method.templates import plain_template
from r2ag.records.mine import stands_in
from r2ag.records.question_writer import QuestionWriter
from r2ag.types import Document, Progress, Record

_EXAMPLES = """Text: Filter coffee
In 1908 Melitta Bentz, a housewife in Dresden, pierced the bottom of a brass pot and laid blotting paper from a school
notebook in it, so that no grounds came into the cup.
Question: Where did Melitta Bentz live when she invented the paper coffee filter?
Answer: Dresden

Text: The Brooklyn Bridge
The bridge was opened in 1883. Its first engineer, John Roebling, died before the work began, and Emily Roebling led it
for her sick husband.
Question: In which year was the Brooklyn Bridge opened?
Answer: 1883

"""
ASKING = PromptTemplate(
    "Write a question that each text answers and that can be understood without it, and the answer in one to five "
    f"words of the text.\n\n{_EXAMPLES}",
    "Text: {document}\n",
    "",
    answer_cue="Question:",
    chat=False,
    stop="\n\n",
)
ANSWERING = plain_template("few-shot-plain")
NEW_TOKENS = 64
MOST_ANSWER_WORDS = 10
MOST_QUESTION_CHARACTERS = 300
_WRITTEN = re.compile(r"(?:Question:)?\s*(?P<question>[^\n]+)\n+\s*Answer:\s*(?P<answer>[^\n]+)")
_ABOUT_THE_TEXT = re.compile(r"\b(this|the|above|given) (text|passage|paragraph|document|excerpt|article)\b", re.I)


@dataclass(frozen=True)
class Made:
    """A question out of a passage; `left_out` says why it is no good, and is empty where it is."""

    question: str
    answer: str
    left_out: str = ""


@dataclass(frozen=True)
class QuestionMaker:
    """Asks a writer for a question and checks it with two more prompts."""

    writer: QuestionWriter

    def make(self, passage: Document) -> Made:
        """The passage's question."""
        # The prompt shows no question, but every prompt is built with one.
        written = _WRITTEN.match(self.writer.write(ASKING, "Which?", [passage], NEW_TOKENS))
        if written is None:
            return Made("", "", "no question")
        made = Made(written["question"].strip(), written["answer"].strip().rstrip("."))
        return replace(made, left_out=_fault(made, passage) or self._check(made, passage))

    def _check(self, made: Made, passage: Document) -> str:
        from_passage = self.writer.write(ANSWERING, made.question, [passage], NEW_TOKENS)
        if not stands_in(made.answer, from_passage):
            return "not answered from the passage"
        without = self.writer.write(ANSWERING, made.question, [], NEW_TOKENS)
        return "answered without the passage" if stands_in(made.answer, without) else ""


def make_questions(
    passages: Sequence[Document], maker: QuestionMaker, log: Path, progress: Progress | None = None
) -> list[Made]:
    """One Made a passage; each stands in `log` as soon as it is there, and is taken from there by a later run."""
    done = _read(log)
    made, kept = [], 0
    with _appending(log) as lines:
        for number, passage in enumerate(passages, start=1):
            key = _key(maker.writer.name, passage)
            if key not in done:
                done[key] = maker.make(passage)
                lines.write(json.dumps({"key": key} | asdict(done[key])) + "\n")
                lines.flush()
            made.append(done[key])
            kept += not made[-1].left_out
            if progress is not None:
                progress(f"{kept} questions kept", number, len(passages))
    return made


def as_records(passages: Sequence[Document], made: Sequence[Made]) -> list[Record]:
    """The questions that were kept, each with its passage as the relevant document; equal questions once."""
    records: dict[str, Record] = {}
    for passage, one in zip(passages, made, strict=True):
        if not one.left_out:
            identity = hashlib.sha256(one.question.encode("utf-8", "replace")).hexdigest()[:16]
            relevant = replace(passage, relevant=True)
            records.setdefault(identity, Record(identity, one.question, (one.answer,), (relevant,)))
    return list(records.values())


def _fault(made: Made, passage: Document) -> str:
    """What is wrong with a question by its words alone."""
    if not made.question.rstrip().endswith(("?", "？")) or len(made.question) > MOST_QUESTION_CHARACTERS:
        return "no question"
    if _ABOUT_THE_TEXT.search(made.question):
        return "about the text"
    if len(made.answer.split()) > MOST_ANSWER_WORDS or not stands_in(made.answer, passage.passage):
        return "no answer of the passage"
    return "answers itself" if stands_in(made.answer, made.question) else ""


@contextmanager
def _appending(log: Path) -> Iterator[TextIO]:
    """The log's end; one that holds nothing in the end goes."""
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log.open("a", encoding="utf-8") as lines:
            lines.write("\n")  # what a kill cut off must not swallow the next line
            yield lines
    finally:
        if log.is_file() and not log.read_text(encoding="utf-8").strip():
            log.unlink()


def _read(log: Path) -> dict[str, Made]:
    if not log.is_file():
        return {}
    found = {}
    for line in log.read_text(encoding="utf-8").splitlines():
        try:
            fields = json.loads(line)
            key = str(fields.pop("key"))
            found[key] = Made(**fields)
        except (ValueError, TypeError, KeyError, AttributeError):
            continue  # empty, or cut off by a kill
    return found


def _key(writer: str, passage: Document) -> str:
    text = "\0".join([writer, ASKING.head, passage.passage])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
