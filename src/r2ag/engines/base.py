"""The interfaces of what generates answers."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from r2ag.engines.generation import Generation
    from r2ag.engines.writing import Writing
    from r2ag.method.embeddings import MixedEmbeddings


class Engine(Protocol):
    """Greedy answers to batches of prompts.

    stop_tokens: end an answer and are not part of it. context_window: tokens that fit; None if only the LLM's own
    configuration limits them. has_llm: whether the LLM is in this process, so that it gives more than text and one
    thread at a time may generate. Without it, threads may call `generate` at the same time.
    """

    tokenizer: PreTrainedTokenizerFast
    stop_tokens: list[int]
    context_window: int | None
    has_llm: bool

    def generate(
        self,
        mixed: MixedEmbeddings,
        max_new_tokens: int,
        on_text: Callable[[str], None] | None = None,
        stop: str = "",
    ) -> list[Generation]:
        """Answers for a batch of prompts.

        Args:
            on_text: called with each new piece of text as it comes; for a batch of one.
            stop: text that ends an answer, as the LLM's stop tokens do, and is not part of it.

        Raises:
            EngineError: an engine elsewhere failed.
        """
        ...

    def close(self) -> None:
        """Closes the connections to an engine elsewhere."""
        ...


class AnswerWriter(Protocol):
    """Writes several answers at the same time."""

    @property
    def writing(self) -> int:
        """The number of answers that are being written."""
        ...

    def write(self, mixed: MixedEmbeddings, row: Writing) -> Future[Generation]:
        """Starts to write an answer; `mixed` is a batch of one prompt. Cancelling the future stops it at any point.

        The row's `on_text` is called in another thread. The future raises EngineError if an engine elsewhere failed.
        """
        ...
