"""Follow-up questions made to stand alone, so that they find what they are about.

The LLM rewrites them, and a small one is unreliable, so that nothing it writes is believed before it is checked: a
rewriting may use the conversation's words only, keeps the follow-up's own, and refers to nothing outside itself. What
fails is replaced by the question before and the follow-up in one, which finds as well and reads worse.

Tried with the default models on 24 follow-ups about the sample documents: the rewriting passed for 9 (8 ask what was
meant, and one for less: "the coffee" for "Robusta"), 15 were joined. The document in question came first for 10 of them
as typed, for 20 all joined, and for 20 rewritten or joined. All of this knows English only; questions in other
languages are left as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from r2ag.errors import InputError
from r2ag.method.embeddings import MixedEmbeddings
from r2ag.method.prompting import MAX_QUESTION_CHARACTERS, Prompt, PromptTemplate
from r2ag.types import NOTHING_FOUND

if TYPE_CHECKING:
    from r2ag.answering.reader import Reader

NEW_TOKENS = 48


@dataclass(frozen=True)
class Exchange:
    """A question as it was typed, or better as it was rewritten, and its answer; empty where there was none."""

    question: str
    answer: str


def exchanges_of(messages: Iterable[tuple[str, str]]) -> tuple[Exchange, ...]:
    """What was asked and answered in messages, each a role and a text. Messages of other roles than "user" and
    "assistant" are ignored."""
    exchanges: list[Exchange] = []
    for role, text in messages:
        if role == "user" and text.strip():
            exchanges.append(Exchange(text, ""))
        elif role == "assistant" and exchanges:
            exchanges[-1] = Exchange(exchanges[-1].question, "" if text == NOTHING_FOUND else text)
    return tuple(exchanges)


_SHOTS = (
    (
        Exchange("Who wrote the novel Frankenstein?", "Mary Shelley"),
        "When was she born?",
        "When was Mary Shelley born?",
    ),
    (
        Exchange("How long is the river Rhine?", "1,233 kilometres"),
        "Where does it begin?",
        "Where does the river Rhine begin?",
    ),
    (
        Exchange("Who built the first jet airliner?", "de Havilland"),
        "How did he test it?",
        "How did de Havilland test the first jet airliner?",
    ),
    (
        Exchange("In which year was the telephone patented?", "1876"),
        "And the radio?",
        "In which year was the radio patented?",
    ),
    (
        Exchange("Which king built the palace of Versailles?", "Louis XIV"),
        "Who was his wife?",
        "Who was the wife of Louis XIV?",
    ),
    (
        Exchange("Which planet has the most moons?", "Saturn"),
        "How many are there?",
        "How many moons does Saturn have?",
    ),
)


def _conversation(exchange: Exchange, question: str, opening: str) -> str:
    answer = exchange.answer or "not known"
    return f"Question: {exchange.question}\nAnswer: {answer}\nNext question: {question}\nWritten again: {opening}"


REWRITE = PromptTemplate(
    head="Each next question is written again so that it can be understood without what stands before it.\n\n"
    + "".join(f"{_conversation(before, after, alone)}\n\n" for before, after, alone in _SHOTS),
    document="{document}",  # there are none
    tail="{question}",
    chat=False,
    stop="\n",  # a second line would be an example of the LLM's own
)

# "that" and "there" mostly join clauses and open sentences; they refer behind these words and at the end.
_POINTING = "about after at before by did do does for from in is like of on to was with"
_POINTED = "|".join(f"(?<= {word} )" for word in _POINTING.split())
_REFERRING = re.compile(
    r"\b(?:it|its|itself|he|him|his|himself|she|her|hers|herself|they|them|their|theirs|themselves"
    r"|this|these|those|the same|the former|the latter|the other|ones?(?= *\?)|else"
    rf"|(?:^|{_POINTED})that|that(?= *\?)|(?<!are )(?<!is )(?<!was )(?<!were )there(?! +(?:is|are|was|were)\b))\b",
    re.IGNORECASE,
)
_ELLIPTIC = re.compile(r"^(?:and|but|or|so|then|also|what about|how about|what of)\b", re.IGNORECASE)
_GRAMMAR = """
a about above after again all also am an and any are as at be been before being below between both but by can could
d did do does doing done during each else ever few for from get give had has have having he her hers him his how i
if in into is it its itself just ll m many may me might more most much must my no nor not of off on once one ones
only or other our out over own please re s same shall she should so some such t tell than that the their theirs
them then there these they this those through to too under until up ve very was we were what when where which
while who whom whose why will with would you your
"""
_FUNCTION_WORDS = frozenset(_GRAMMAR.split())


@dataclass(frozen=True)
class FollowUp:
    """A question that doesn't stand alone, with what was asked before it."""

    question: str
    before: Exchange

    @classmethod
    def of(cls, question: str, history: Sequence[Exchange]) -> FollowUp | None:
        """None where the question plainly stands alone.

        Args:
            history: what was asked and answered before, the latest last.
        """
        recent = _recent(history)
        if not recent or not needs_more(question):
            return None
        return cls(question, Exchange(_topic(recent), history[-1].answer[:MAX_QUESTION_CHARACTERS]))

    def prompt(self, reader: Reader) -> Prompt | None:
        """The prompt for rewriting the question; None if the LLM can't be expected to succeed.

        The words before the one that refers are given, since a small LLM loses its way without them. With no content
        of its own ("Why?") or no word to replace ("And the Danube?") it only makes things up.
        """
        if not (_content(self.question) and _REFERRING.search(self.question)):
            return None
        builder = reader.builder_for(REWRITE)
        try:
            return reader.prompt(
                _conversation(self.before, self.question, self._opening), (), NEW_TOKENS, builder=builder
            )
        except InputError:  # the conversation is too long for it
            return None

    def mix(self, reader: Reader) -> MixedEmbeddings | None:
        """The prompt's embeddings; None where there is no prompt."""
        prompt = self.prompt(reader)
        return None if prompt is None else reader.embed([prompt], None)

    def settled(self, written: str) -> str:
        """The question that stands alone: with what the LLM wrote if that is sound, else joined to the one before.

        Where that is too long to be asked it is the question as it is.
        """
        rewritten = f"{self._opening} {written}".strip()
        is_rewritten = bool(written) and is_sound(rewritten, self.question, self.before)
        alone = rewritten if is_rewritten else f"{self.before.question} {self.question}"
        return alone if len(alone) <= MAX_QUESTION_CHARACTERS else self.question

    @property
    def _opening(self) -> str:
        reference = _REFERRING.search(self.question)
        return self.question[: reference.start()].strip() if reference else ""


def _recent(history: Sequence[Exchange]) -> Sequence[Exchange]:
    """The last exchanges whose questions have no more characters together than one may have: a client may send a
    history of any length, and all of it would be looked through."""
    characters = 0
    for index in reversed(range(len(history))):
        characters += len(history[index].question)
        if characters > MAX_QUESTION_CHARACTERS:
            return history[index + 1 :]
    return history


def _topic(history: Sequence[Exchange]) -> str:
    """The last question, behind the last one that stands alone where it doesn't: two at most, however many were asked,
    since encoders read the beginning of a long text only."""
    last = history[-1].question
    if not needs_more(last):
        return last
    alone = next((one.question for one in reversed(history) if not needs_more(one.question)), "")
    return f"{alone} {last}".strip()


def needs_more(question: str) -> bool:
    """Whether a question refers to something outside itself, or lacks a part."""
    has_only_grammar = bool(_words(question)) and not _content(question)
    return bool(_REFERRING.search(question) or _ELLIPTIC.search(question.strip())) or has_only_grammar


def is_sound(rewritten: str, question: str, before: Exchange) -> bool:
    """Whether a rewriting is a question that stands alone, with nothing lost and nothing made up."""
    said, own = _content(rewritten), _content(question)
    known = _content(before.question) | _content(before.answer)
    return rewritten.endswith("?") and not needs_more(rewritten) and own <= said <= own | known and bool(said - own)


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def _content(text: str) -> set[str]:
    return set(_words(text)) - _FUNCTION_WORDS
