"""Step 4 (eq. 6) in process: transformers' own generation from mixed embeddings."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from transformers.generation.streamers import BaseStreamer

from r2ag.engines.batch import Batch
from r2ag.engines.generation import Generation
from r2ag.engines.writing import Sampling, Writing
from r2ag.method.embeddings import MixedEmbeddings
from r2ag.method.prefix_cache import Openings, unknown_layers

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


class TransformersEngine:
    """Greedy generation with a Hugging Face LLM."""

    context_window: int | None = None
    has_llm = True

    def __init__(self, llm: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, end_of_turn: int) -> None:
        self.llm = llm
        self.openings = Openings(llm)
        self.tokenizer = tokenizer
        self.stop_tokens = sorted({end_of_turn, int(tokenizer.eos_token_id)})

    def generate(
        self,
        mixed: MixedEmbeddings,
        max_new_tokens: int,
        on_text: Callable[[str], None] | None = None,
        stop: str = "",
    ) -> list[Generation]:
        """See Engine."""
        if self._writes_side_by_side(mixed):
            return self._write(mixed, max_new_tokens, on_text or (lambda piece: None), stop)
        clock = _Clock(lambda ids: self._text(ids, stop), on_text)
        started = time.perf_counter()
        ids = self._generate(mixed, max_new_tokens, clock, stop)
        ended = time.perf_counter()
        first = clock.first_token or ended
        clock.flush()
        return [
            Generation(
                text=self._text(row, stop),
                completion_tokens=len(row),
                prefill_ms=(first - started) * 1000,
                decode_ms=(ended - first) * 1000,
                is_whole=len(row) < max_new_tokens,
            )
            for row in (self._until_stop(sequence) for sequence in ids.tolist())
        ]

    def _writes_side_by_side(self, mixed: MixedEmbeddings) -> bool:
        """Alone, and on CPUs, where prompts that are read together gain less than their padding costs."""
        fits = len(mixed.embeddings) == 1 or self.llm.device.type == "cpu"
        return fits and not unknown_layers(self.llm)

    def _write(
        self, mixed: MixedEmbeddings, max_new_tokens: int, on_text: Callable[[str], None], stop: str
    ) -> list[Generation]:
        sampling = Sampling(max_new_tokens, stop=(stop,) if stop else ())
        rows = [Writing(sampling, self.tokenizer, self.stop_tokens, on_text) for _ in mixed.embeddings]
        batch = Batch(self.llm, self.openings)
        batch.join(mixed, *rows)
        while len(batch):
            batch.step()
        return [row.generation() for row in rows]

    @torch.inference_mode()
    def _generate(self, mixed: MixedEmbeddings, max_new_tokens: int, clock: _Clock, stop: str) -> Tensor:
        options: dict[str, Any] = {
            "do_sample": False,
            "max_new_tokens": max_new_tokens,
            "eos_token_id": self.stop_tokens,
            "pad_token_id": self.stop_tokens[0],
            # An LLM's own generation_config may sample or penalise; neither belongs to greedy decoding.
            "repetition_penalty": 1.0,
            "temperature": None,
            "top_p": None,
            "top_k": None,
        }
        if stop:
            options["stopping_criteria"] = [lambda ids, scores: self._stopped(ids, stop)]
        if mixed.embeddings.shape[0] == 1:
            options["streamer"] = clock
        else:
            options["logits_processor"] = [clock.observe]
        llm: Any = self.llm
        return cast("Tensor", llm.generate(inputs_embeds=mixed.embeddings, attention_mask=mixed.mask, **options))

    def _text(self, ids: Sequence[int], stop: str) -> str:
        text = str(self.tokenizer.decode(self._until_stop(ids), skip_special_tokens=True)).strip()
        return text.partition(stop)[0].strip() if stop else text

    def _stopped(self, ids: Tensor, stop: str) -> Tensor:
        """Which answers of a batch hold the stop, (batch,); one at their very beginning counts for nothing."""
        texts = [str(self.tokenizer.decode(row, skip_special_tokens=True)).lstrip() for row in ids.tolist()]
        return torch.tensor([stop in text for text in texts], device=ids.device)

    def _until_stop(self, ids: Sequence[int]) -> list[int]:
        for index, token in enumerate(ids):
            if token in self.stop_tokens:
                return list(ids[:index])
        return list(ids)


class _Clock(BaseStreamer):
    """Notes when the first token came, and hands on text whole words at a time."""

    def __init__(self, decode: Callable[[Sequence[int]], str], on_text: Callable[[str], None] | None) -> None:
        self.first_token: float | None = None
        self._decode = decode
        self._on_text = on_text
        self._ids: list[int] = []
        self._handed_on = 0

    def observe(self, ids: Tensor, scores: Tensor) -> Tensor:
        """A logits processor that changes nothing: it is called when the prompt has been read."""
        self.first_token = self.first_token or time.perf_counter()
        return scores

    def put(self, value: Tensor) -> None:
        """Takes the next token (and, first, the prompt's ids, of which embeddings have none)."""
        if value.numel() == 0:
            return
        self.first_token = self.first_token or time.perf_counter()
        self._ids += value.flatten().tolist()
        text = self._decode(self._ids)
        # A character may be spread over several tokens; until it is whole, decoding ends in U+FFFD.
        if not text.endswith("\ufffd"):
            self._hand_on(text)

    def end(self) -> None:
        """Generation has ended."""

    def flush(self) -> None:
        """Hands on what is left."""
        self._hand_on(self._decode(self._ids))

    def _hand_on(self, text: str) -> None:
        if self._on_text is not None and len(text) > self._handed_on:
            self._on_text(text[self._handed_on :])
            self._handed_on = len(text)
