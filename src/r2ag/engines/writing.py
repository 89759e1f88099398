"""One answer while it is written: turns tokens into text, piece by piece, until the answer ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from transformers.generation.logits_process import TemperatureLogitsWarper, TopPLogitsWarper

from r2ag.engines.generation import Generation
from r2ag.types import FinishReason

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


LEAST_TEMPERATURE = 1e-3  # below it scores overflow, and only the likeliest token could be drawn


@dataclass(frozen=True)
class Sampling:
    """How an answer is written.

    At a temperature of 0, or nearly so, each token is the likeliest one. Otherwise it is drawn from the likeliest ones
    that together have the probability `top_p`; the same `seed` draws the same tokens again. Each text of `stop` ends
    the answer and is not part of it.
    """

    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()

    @property
    def is_greedy(self) -> bool:
        """Whether each token is the likeliest one."""
        return self.temperature < LEAST_TEMPERATURE


def stop_tokens(tokenizer: PreTrainedTokenizerFast, end_of_turn: int) -> list[int]:
    """Tokens that end an answer: the one that ends a turn, and the one that ends a text if the tokenizer has it."""
    return sorted({end_of_turn, *([] if tokenizer.eos_token_id is None else [int(tokenizer.eos_token_id)])})


class Writing:
    """One answer of a batch: give it each token with `take` until `has_ended`, then ask for its `generation`.

    Args:
        stop_tokens: tokens that end the answer and are not part of it.
        on_text: called with each piece of text; never with half a character or the beginning of a stop text.
    """

    def __init__(
        self,
        sampling: Sampling,
        tokenizer: PreTrainedTokenizerFast,
        stop_tokens: Sequence[int],
        on_text: Callable[[str], None] | None = None,
    ) -> None:
        self.sampling = sampling
        self.has_ended = False
        self._tokenizer = tokenizer
        self._stop_tokens = frozenset(stop_tokens)
        self._on_text = on_text
        self._ids: list[int] = []
        self._text = ""
        self._handed_on = 0
        self._finish_reason: FinishReason = "length"
        self._generator: torch.Generator | None = None
        self._started = time.perf_counter()
        self._first = self._ended = 0.0

    @property
    def last_token(self) -> int:
        """The token that was written last."""
        return self._ids[-1]

    @property
    def is_blank(self) -> bool:
        """Whether only white space has been written."""
        return not self._text

    def draw(self, logits: Tensor) -> int:
        """Draws the next token, from its logits, (vocabulary,)."""
        scores = logits.float()[None]
        no_ids = torch.empty(1, 0, dtype=torch.long, device=logits.device)
        scores = TemperatureLogitsWarper(self.sampling.temperature)(no_ids, scores)
        scores = TopPLogitsWarper(self.sampling.top_p)(no_ids, scores)
        if self._generator is None:
            self._generator = torch.Generator(logits.device)
            if self.sampling.seed is None:
                self._generator.seed()
            else:
                self._generator.manual_seed(self.sampling.seed)
        return int(torch.multinomial(scores[0].softmax(dim=-1), 1, generator=self._generator))

    def take(self, token: int) -> None:
        """Adds a token to the answer, and ends the answer at a stop token, a stop text or the limit of tokens."""
        self._first = self._first or time.perf_counter()
        if token in self._stop_tokens:
            self.end("stop")
            return
        self._ids.append(token)
        text = str(self._tokenizer.decode(self._ids, skip_special_tokens=True)).lstrip()
        stops = [at for stop in self.sampling.stop if (at := text.find(stop)) >= 0]
        self._text = text[: min(stops)] if stops else text
        if stops or len(self._ids) >= self.sampling.max_new_tokens:
            self.end("stop" if stops else "length")
        else:
            self._hand_on(self._text[: len(self._text) - self._undecided()].rstrip())

    def end(self, reason: FinishReason) -> None:
        """Ends the answer with the text that it has."""
        self._finish_reason = reason
        self._first = self._first or time.perf_counter()
        self._ended = time.perf_counter()
        self.has_ended = True
        self._hand_on(self._text.rstrip())

    def begin_again(self) -> None:
        """Drops the tokens of an answer that is blank."""
        self._ids = []

    def generation(self) -> Generation:
        """The answer; it must have ended."""
        return Generation(
            text=self._text.rstrip(),
            completion_tokens=len(self._ids),
            prefill_ms=(self._first - self._started) * 1000,
            decode_ms=(self._ended - self._first) * 1000,
            finish_reason=self._finish_reason,
        )

    def _undecided(self) -> int:
        """How many characters at the end may still change or become a stop text."""
        if self._text.endswith("\ufffd"):
            return len(self._text) - len(self._text.rstrip("\ufffd"))
        longest = max((len(stop) for stop in self.sampling.stop), default=0)
        for length in range(min(longest, len(self._text)), 0, -1):
            if any(stop.startswith(self._text[-length:]) for stop in self.sampling.stop):
                return length
        return 0

    def _hand_on(self, text: str) -> None:
        if self._on_text is not None and len(text) > self._handed_on:
            self._on_text(text[self._handed_on :])
            self._handed_on = len(text)
