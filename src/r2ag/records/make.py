"""An LLM writes questions and answers from passages; those that fail a check are dropped.

A question is kept if the LLM, asked again, gives the answer with the passage and does not give it without. The answer
must stand in the passage, so that distractors can be told from it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from r2ag.answering.matching import stands_in
from r2ag.engines.chat_api import ChatAPI, Completion
from r2ag.io import journal
from r2ag.method.prompting import PromptBuilder, PromptTemplate
from r2ag.method.templates import plain_template
from r2ag.types import Document, Progress, Record

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

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
    """A question from a passage; `left_out` says why it was dropped, and is empty if it is kept."""

    question: str
    answer: str
    left_out: str = ""


class LocalWriter:
    """Greedy generation by an LLM without an adapter; no document can forge a token."""

    def __init__(self, llm: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, name: str) -> None:
        from r2ag.method.model import context_window

        self.llm = llm
        self.tokenizer = tokenizer
        self.name = name
        self._builders: dict[PromptTemplate, PromptBuilder] = {}
        self._window = context_window(llm) or 4096

    def answer(
        self, template: PromptTemplate, question: str, documents: Sequence[Document], max_new_tokens: int
    ) -> Completion:
        """The text behind the template's cue, as ChatAPI.answer gives it."""
        import torch

        from r2ag.engines.transformers import TransformersEngine
        from r2ag.method.embeddings import MixedEmbeddings

        if template not in self._builders:
            self._builders[template] = PromptBuilder(self.tokenizer, template, slots=0)
        builder = self._builders[template]
        prompt = builder.build(question, documents, self._window - max_new_tokens)
        ids = torch.tensor([prompt.ids], device=self.llm.device)
        with torch.inference_mode():
            mixed = MixedEmbeddings(self.llm.get_input_embeddings()(ids), torch.ones_like(ids))
            engine = TransformersEngine(self.llm, self.tokenizer, builder.end_of_turn)
            return Completion(engine.generate(mixed, max_new_tokens, stop=template.stop)[0].text)


QuestionWriter = LocalWriter | ChatAPI


def make_question(passage: Document, writer: QuestionWriter) -> Made:
    """Asks for a question of the passage, and checks it with two more prompts."""
    # The prompt shows no question, but every prompt is built with one.
    written = _WRITTEN.match(writer.answer(ASKING, "Which?", [passage], NEW_TOKENS).text)
    if written is None:
        return Made("", "", "no question")
    made = Made(written["question"].strip(), written["answer"].strip().rstrip("."))
    if fault := _fault(made, passage):
        return replace(made, left_out=fault)
    if not stands_in(made.answer, writer.answer(ANSWERING, made.question, [passage], NEW_TOKENS).text):
        return replace(made, left_out="not answered from the passage")
    if stands_in(made.answer, writer.answer(ANSWERING, made.question, [], NEW_TOKENS).text):
        return replace(made, left_out="answered without the passage")
    return made


def make_questions(
    passages: Sequence[Document], writer: QuestionWriter, log: Path, progress: Progress | None = None
) -> list[Made]:
    """One Made a passage. Each is added to `log` at once, and a later run takes it from there."""
    names = [field.name for field in fields(Made)]
    lines = (line for line in journal.read(log) if {"key", *names} <= line.keys())
    done = {str(line["key"]): Made(*(line[name] for name in names)) for line in lines}
    made, kept = [], 0
    for number, passage in enumerate(passages, start=1):
        key = _key(writer.name, passage)
        if key not in done:
            done[key] = make_question(passage, writer)
            journal.append(log, {"key": key} | asdict(done[key]))
        made.append(done[key])
        kept += not done[key].left_out
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


def _key(writer: str, passage: Document) -> str:
    text = "\0".join([writer, ASKING.head, passage.passage])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
