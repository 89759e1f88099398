"""From the messages of a chat to an answer, the same way for every framework."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from r2ag.answering.answers import Retrieved
from r2ag.answering.follow_ups import Exchange, exchanges_of
from r2ag.errors import InputError
from r2ag.integrations.conversion import check_count
from r2ag.method.prompting import check_question
from r2ag.pipeline import Pipeline
from r2ag.types import NOTHING_FOUND, Answer, Document, RankedList


@dataclass(frozen=True)
class Chat:
    """A question, what was said before it, and what goes before the instruction."""

    question: str
    history: tuple[Exchange, ...] = ()
    system: str = ""

    @classmethod
    def of(cls, messages: Iterable[tuple[str, str]]) -> Chat:
        """Of messages as (role, text), where the last one of role "user" is the question.

        Raises:
            InputError: there is none.
        """
        said = list(messages)
        asked = [index for index, (role, _) in enumerate(said) if role == "user"]
        if not asked:
            raise InputError("There is no user message, and the last one is the question; add it.")
        system = "\n\n".join(text for role, text in said if role == "system")
        return cls(said[asked[-1]][1], exchanges_of(said[: asked[-1]]), system)


@dataclass(frozen=True)
class Asking:
    """How a framework's model asks its pipeline; the options are those of Pipeline.ask."""

    pipeline: Pipeline
    k: int | None
    max_new_tokens: int

    def __call__(
        self, chat: Chat, documents: Sequence[Document] | None, on_text: Callable[[str], None] = lambda piece: None
    ) -> Answer:
        """The answer.

        Args:
            documents: to answer from, in their retriever's order; None asks the pipeline's own. Where a retriever
                found none, the answer abstains.
            on_text: called with each piece of what `text_of` gives.

        Raises:
            InputError: the question, the documents or k can't be used.
        """
        answer = self.pipeline.answer(
            self._find(chat, documents),
            max_new_tokens=self.max_new_tokens,
            system=chat.system or None,
            on_text=on_text,
        )
        if answer.abstained:
            on_text(NOTHING_FOUND)
        return answer

    def _find(self, chat: Chat, documents: Sequence[Document] | None) -> Retrieved:
        check_question(chat.question)
        question = self.pipeline.stand_alone(chat.question, chat.history)
        if documents is not None and not documents:
            dimension = self.pipeline.encoder.dimension
            vectors = np.zeros((0, dimension), dtype=np.float32)
            return Retrieved(RankedList(question, (), np.zeros(dimension, dtype=np.float32), vectors), 0.0)
        if documents is not None and self.k is None:
            check_count(self.pipeline, documents)
        return self.pipeline.find(question, documents, k=self.k)


def text_of(answer: Answer) -> str:
    """What people read."""
    return NOTHING_FOUND if answer.abstained else answer.text


def refuse(options: Iterable[str]) -> None:
    """Raises InputError for options of a call that would be passed over."""
    if names := sorted(options):
        raise InputError(f"R²AG's answers know no {' and no '.join(names)}; leave that out.")
