"""Interfaces of engines, which generate answers."""

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

    Pipeline.from_pretrained takes an engine of your own. r2ag.engines.writing.Writing turns tokens into text by the
    rules of `generate`.

    stop_tokens: end an answer and are not part of it: the end-of-turn token and the tokenizer's `eos_token_id`.
    context_window: tokens that fit, read once at the start; None if only the LLM's own configuration limits them.
    has_llm: whether the LLM's weights are in this process. Explanations and attention need them. With them, Pipeline
    calls `generate` from one thread at a time, else from several.
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
        """One answer for each row of `mixed`, in that order.

        Special tokens are left out of the text. White space at its beginning is dropped before `stop` is looked for,
        and white space at its end afterwards. It is called with gradients on, which generation doesn't need.

        Args:
            on_text: called with each new piece of text; given only with a single prompt. The pieces add up to the text.
                What it raises ends the answer, so let that pass.
            stop: text that ends an answer, as the LLM's stop tokens do, and is not part of it.

        Raises:
            EngineError: an engine elsewhere failed.
        """
        ...

    def close(self) -> None:
        """Closes the connections to an engine elsewhere; an engine in this process has none."""
        ...


class AnswerWriter(Protocol):
    """Writes several answers at the same time.

    The server needs this as well as Engine if the engine has no LLM in this process.
    """

    @property
    def writing(self) -> int:
        """The number of answers that are being written."""
        ...

    def write(self, mixed: MixedEmbeddings, row: Writing) -> Future[Generation]:
        """Starts to write an answer; `mixed` is a batch of one prompt. Cancelling the future stops it at any point.

        The row's `on_text` is called in another thread. The future raises EngineError if an engine elsewhere failed.
        """
        ...
