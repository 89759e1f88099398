"""Step 3 (App. B): the prompt, with a slot in front of each document.

A prompt is a list of token ids and the *positions* of its slots. A slot is never a vocabulary entry, so no text can
forge one; and every text (question, documents, titles, system prompt, history, even the template's own words) is
tokenised by a copy of the tokenizer that knows no added or special token, so that no text can open or end a chat turn.
Only the chat template itself may write special tokens (without one: the tokens that begin and end a text).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from r2ag.errors import InputError
from r2ag.method.plain_text import PlainTextTokenizer
from r2ag.types import Document

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

MAX_QUESTION_CHARACTERS = 20_000
ROLES = ("system", "user", "assistant")
BREAK = "\n"  # no sentencepiece joins it with what stands behind


@dataclass(frozen=True)
class PromptTemplate:
    """The words around question and documents.

    Each part is plain text; `head` and `tail` may hold {question}. `document` holds {number}, {slots} and {document};
    plain RAG's template is the same without {slots} and its label, xRAG's without {document}. `answer_cue` opens the
    LLM's answer. `stop` ends it where no chat template does: an LLM that completes a text would go on with a question
    of its own.
    """

    head: str
    document: str
    tail: str
    answer_cue: str = ""
    chat: bool = True
    stop: str = ""

    def __post_init__(self) -> None:
        around, within = {"question"}, {"number", "slots", "document"}
        for part, known in ((self.head, around), (self.document, within), (self.tail, around)):
            if unknown := set(_fields(part)) - known:
                raise InputError(
                    f"A prompt template has unknown fields {sorted(unknown)}; it may hold {sorted(known)}."
                )
        fields = _fields(self.document)
        last = "document" if "document" in fields else "slots"
        if fields[-1:] != [last] or fields.count("document") > 1 or fields.count("slots") > 1:
            raise InputError(
                "A template's document part must hold {document} once, as its last field, and {slots} at most once; "
                "or {slots} alone."
            )

    @property
    def has_slots(self) -> bool:
        """Whether embeddings stand in front of each document."""
        return "{slots}" in self.document

    @property
    def has_texts(self) -> bool:
        """Whether the documents' words are read."""
        return "{document}" in self.document


@dataclass(frozen=True)
class Turn:
    """One message of a conversation before the question; role is "system", "user" or "assistant"."""

    role: str
    content: str

    def __post_init__(self) -> None:
        # Chat templates write the role as they get it, special tokens and all.
        if self.role not in ROLES:
            raise InputError(f"A message has the role {self.role!r}; it must be one of {', '.join(ROLES)}.")


@dataclass(frozen=True)
class Prompt:
    """Token ids, and where E^R enters: `slots[i]` are the positions of document i's embeddings.

    The ids at slot positions are placeholders that are never embedded. `shortened` counts documents that were cut.
    `documents[i]` is where document i's text begins and where it has ended. `opening` counts the first ids that are
    the same for every question.
    """

    ids: tuple[int, ...]
    slots: tuple[tuple[int, ...], ...]
    shortened: int = 0
    documents: tuple[tuple[int, int], ...] = ()
    opening: int = 0

    def __len__(self) -> int:
        return len(self.ids)


class PromptBuilder:
    """Turns a question and documents into a Prompt for one tokenizer and one template.

    Args:
        tokenizer: a fast tokenizer; its chat template is used where it has one and the PromptTemplate wants one.
        slots: embeddings per document.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, template: PromptTemplate, slots: int = 1) -> None:
        self.tokenizer = tokenizer
        self.template = template
        self.slots = slots
        self._plain = PlainTextTokenizer(tokenizer)
        self._placeholder = _placeholder_id(tokenizer)

    def build(
        self,
        question: str,
        documents: Sequence[Document],
        max_tokens: int,
        history: Sequence[Turn] = (),
    ) -> Prompt:
        """The prompt in at most `max_tokens` tokens; documents are shortened evenly, nothing else is.

        Raises:
            InputError: the question is empty or over 20,000 characters, or doesn't fit even without documents.
        """
        check_question(question)
        before, after, opening = self._frame(question, history)
        labels = [self._label(number) for number in range(1, len(documents) + 1)]
        closing = self._plain.encode(self.template.document.partition("{document}")[2])
        slots = self.slots if self.template.has_slots else 0
        texts = [self._plain.encode(document.passage) if self.template.has_texts else [] for document in documents]
        fixed = len(before) + len(after) + sum(len(a) + len(b) + slots + len(closing) for a, b in labels)
        room = max_tokens - fixed
        if room < len(documents):
            raise InputError(
                f"The question and instructions take {fixed} tokens of the {max_tokens} that fit; "
                "ask a shorter question, or with fewer documents."
            )
        cap = _even_cap([len(text) for text in texts], room)
        ids, positions, spans = list(before), [], []
        for (to_slot, from_slot), text in zip(labels, texts, strict=True):
            ids += to_slot
            positions.append(tuple(range(len(ids), len(ids) + slots)))
            ids += [self._placeholder] * slots + from_slot
            spans.append((len(ids), len(ids) + len(text[:cap])))
            ids += text[:cap] + closing
        shortened = sum(len(text) > cap for text in texts)
        return Prompt(tuple(ids + after), tuple(positions), shortened, tuple(spans), opening)

    def target(self, answer: str) -> list[int]:
        """Ids that training teaches the LLM to write: the answer and what ends it."""
        ending = self._plain.encode(self.template.stop) or [self.end_of_turn]
        lead = " " if self.template.answer_cue else self._answer_lead
        return [*self._plain.encode(f"{lead}{answer}"), *ending]

    @cached_property
    def _answer_lead(self) -> str:
        """The white space that the chat template puts between its cue and an answer (Llama 2: a space)."""
        if not self._uses_chat:
            return ""
        asked = self._render([Turn("user", "q")])
        answered = self._render([Turn("user", "q"), Turn("assistant", "ANSWERMARK")], generate=False)
        lead = answered.removeprefix(asked).partition("ANSWERMARK")[0]
        return lead if answered.startswith(asked) and lead.isspace() else ""

    @property
    def end_of_turn(self) -> int:
        """The token that ends an answer: what the chat template writes after one, else the end-of-text token.

        Raises:
            InputError: the tokenizer has neither.
        """
        if self._uses_chat:
            rendered = self._render([Turn("user", "q"), Turn("assistant", "ANSWERMARK")], generate=False)
            tail = self.tokenizer.encode(rendered.split("ANSWERMARK")[-1], add_special_tokens=False)
            special = [token for token in tail if token in self._plain.forbidden]
            if special:
                return int(special[0])
        if self.tokenizer.eos_token_id is None:
            raise InputError("Nothing ends an answer: the tokenizer has no end-of-text token; choose another LLM.")
        return int(self.tokenizer.eos_token_id)

    @property
    def _uses_chat(self) -> bool:
        return self.template.chat and self.tokenizer.chat_template is not None

    def _label(self, number: int) -> tuple[list[int], list[int]]:
        """Ids before and after a document's slots."""
        label = self.template.document.split("{document}")[0].replace("{number}", str(number))
        to_slot, _, from_slot = label.partition("{slots}")
        return self._plain.encode(to_slot), self._plain.encode(from_slot)

    def _frame(self, question: str, history: Sequence[Turn]) -> tuple[list[int], list[int], int]:
        """Ids before the first document, ids after the last one, and how many leading ids every question shares."""
        head = _fill(self.template.head, question)
        tail = _fill(self.template.tail, question)
        cue = self._plain.encode(self.template.answer_cue)
        if not self._uses_chat:
            spoken = "".join(f"{turn.content}\n\n" for turn in history)
            spoken = self._plain.lead + spoken if spoken or head else ""
            start = [self.tokenizer.bos_token_id] if _adds_bos(self.tokenizer) else []
            ids = self._plain.encode(spoken + head)
            return start + ids, self._plain.encode(tail) + cue, len(start) + self._opening(ids, spoken)
        *texts, ending = self._template_texts([*(turn.role for turn in history), "user"])
        start = list(texts[0])
        for text, turn in zip(texts[1:], history, strict=True):
            start += self._plain.encode(turn.content) + text
        ids = self._plain.encode(head)
        return start + ids, self._plain.encode(tail) + ending + cue, len(start) + self._opening(ids, "")

    def _opening(self, ids: Sequence[int], spoken: str) -> int:
        """How many ids, of `spoken` and the filled head, come before any of the question's."""
        known, field, _ = self.template.head.partition("{question}")
        if not field:
            return len(ids)
        # A token may reach from the template's words into the question.
        return _alike(ids, self._plain.encode(spoken + known))

    def _template_texts(self, roles: Sequence[str]) -> list[list[int]]:
        """Ids of what the chat template writes before each message of these roles, and after the last one.

        The template sees a mark in each content's place, never the content itself.
        """
        marks = [f"R2AGTURN{index}MARK" for index in range(len(roles))]
        rendered = self._render([Turn(role, mark) for role, mark in zip(roles, marks, strict=True)])
        texts = []
        for mark in marks:
            text, found, rendered = rendered.partition(mark)
            if not found:
                raise InputError("The LLM's chat template leaves out a message; use a prompt template without chat.")
            texts.append(text)
        first, *others = (*texts, rendered)
        return [self.tokenizer.encode(first, add_special_tokens=False), *map(self._behind_content, others)]

    def _behind_content(self, text: str) -> list[int]:
        """Ids of a template's text that stands behind a message, where no tokenizer puts a space before it."""
        ids = list[int](self.tokenizer.encode(text, add_special_tokens=False))
        if not self._plain.lead:
            return ids
        before, behind = (
            list[int](self.tokenizer.encode(part, add_special_tokens=False)) for part in (BREAK, BREAK + text)
        )
        return behind[len(before) :] if behind[: len(before)] == before else ids

    def _render(self, turns: Sequence[Turn], generate: bool = True) -> str:
        messages = [{"role": turn.role, "content": turn.content} for turn in turns]
        try:
            return str(self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=generate))
        except Exception as error:
            # Templates raise what they like (Gemma: "System role not supported"); then the system turn leads the next.
            if len(turns) < 2 or turns[0].role != "system":
                raise InputError(f"The LLM's chat template refuses these messages ({error}).") from None
        system, following, *rest = turns
        return self._render([Turn(following.role, f"{system.content}\n\n{following.content}"), *rest], generate)


def check_question(question: str) -> None:
    """Raises InputError for an empty question or one that is too long."""
    if not question.strip():
        raise InputError("The question is empty; type a question.")
    if len(question) > MAX_QUESTION_CHARACTERS:
        raise InputError(f"The question has {len(question):,} characters; shorten it to {MAX_QUESTION_CHARACTERS:,}.")


def _fields(part: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", part)


def _fill(part: str, question: str) -> str:
    return part.replace("{question}", question.strip())


def _alike(one: Sequence[int], other: Sequence[int]) -> int:
    """How many ids both begin with."""
    pairs = zip(one, other, strict=False)
    return next((index for index, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _even_cap(lengths: Sequence[int], room: int) -> int:
    """The greatest cap c with Σ min(length, c) ≤ room: long documents give way first, all to the same length."""
    remaining = room
    for done, length in enumerate(sorted(lengths)):
        share = remaining // (len(lengths) - done)
        if length > share:
            return share
        remaining -= length
    return max(lengths, default=0)


def _adds_bos(tokenizer: PreTrainedTokenizerFast) -> bool:
    bos = tokenizer.bos_token_id
    return bos is not None and tokenizer.encode("a")[:1] == [bos]


def _placeholder_id(tokenizer: PreTrainedTokenizerFast) -> int:
    for token in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if token is not None:
            return int(token)
    return 0
