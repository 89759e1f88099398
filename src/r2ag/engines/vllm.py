"""Step 4 (eq. 6) by a vLLM server, over HTTP: it gets mixed embeddings, and streams tokens back.

The tokens become text here, as they do in process, so that an answer is the same whichever engine writes it. Requests
run at the same time; vLLM batches them.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import aclosing
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import httpx
import torch

from r2ag.engines.generation import Generation
from r2ag.engines.writing import Sampling, Writing, stop_tokens
from r2ag.errors import EngineError
from r2ag.io.http import FIRST_PAUSE_SECONDS, APIClient
from r2ag.method.embeddings import MixedEmbeddings
from r2ag.types import FinishReason

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


class VLLMEngine(APIClient):
    """An LLM that a vLLM server runs with --enable-prompt-embeds; both an Engine and an AnswerWriter.

    Args:
        url: as in http://127.0.0.1:8001/v1; this and all that is not named here is as for APIClient.
        end_of_turn: ends an answer, as the tokenizer's end of text does.

    Raises:
        InputError: the URL is not an http or https address, or the key can't be sent.
        EngineError: the server can't be reached, or is not vLLM.
    """

    has_llm = False
    patience = 300.0  # a queue may be long

    def __init__(
        self,
        url: str,
        tokenizer: PreTrainedTokenizerFast,
        end_of_turn: int,
        timeout: httpx.Timeout | float | None = None,
        first_pause: float = FIRST_PAUSE_SECONDS,
    ) -> None:
        super().__init__(url, "", timeout, first_pause)
        self.tokenizer = tokenizer
        self.stop_tokens = stop_tokens(tokenizer, end_of_turn)
        self.writing = 0
        self.model, served = self.check().result()
        self.context_window: int | None = served

    def check(self) -> Future[tuple[str, int]]:
        """The name that vLLM gives the LLM, and how many tokens it takes; raises EngineError if vLLM doesn't answer."""

        def read(models: Any) -> tuple[str, int]:
            return str(models["data"][0]["id"]), int(models["data"][0]["max_model_len"])

        return self.soon(self.ask("models", None, read, "a model and its max_model_len, as vLLM does"))

    def write(self, mixed: MixedEmbeddings, row: Writing) -> Future[Generation]:
        """See AnswerWriter."""
        return self.soon(self._write(mixed, row))

    def generate(
        self,
        mixed: MixedEmbeddings,
        max_new_tokens: int,
        on_text: Callable[[str], None] | None = None,
        stop: str = "",
    ) -> list[Generation]:
        """See Engine; vLLM gets the prompts of a batch at the same time. `on_text` is called in this thread."""
        sampling = Sampling(max_new_tokens, stop=(stop,) if stop else ())
        pieces: SimpleQueue[str | None] = SimpleQueue()
        rows = [Writing(sampling, self.tokenizer, self.stop_tokens, on_text and pieces.put) for _ in mixed.embeddings]
        futures = [self.write(_alone(mixed, index), row) for index, row in enumerate(rows)]
        try:
            if on_text is not None:
                futures[0].add_done_callback(lambda _: pieces.put(None))
                while (piece := pieces.get()) is not None:
                    on_text(piece)
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()  # does nothing to those that are done

    def _request(self, mixed: MixedEmbeddings, sampling: Sampling, stop: tuple[str, ...]) -> dict[str, Any]:
        """What vLLM is sent. It names all options of sampling, so that the LLM's own generation_config sets none."""
        return {
            "model": self.model,
            "prompt_embeds": _encoded(mixed),
            "max_tokens": sampling.max_new_tokens,
            "temperature": 0.0 if sampling.is_greedy else sampling.temperature,
            "top_p": 1.0 if sampling.is_greedy else sampling.top_p,
            "top_k": 0,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "seed": sampling.seed,
            "stop": stop,
            "stop_token_ids": self.stop_tokens,
            "stream": True,
            "return_token_ids": True,
        }

    async def _write(self, mixed: MixedEmbeddings, row: Writing) -> Generation:
        self.writing += 1
        try:
            stop = _vllm_stops(row.sampling.stop)
            if not await self._fill(mixed, row, stop):
                # vLLM stopped at white space that begins the answer. The row finds such stop texts itself.
                await self._fill(mixed, row, tuple(text for text in stop if text.strip()))
            return row.generation()
        finally:
            self.writing -= 1

    async def _fill(self, mixed: MixedEmbeddings, row: Writing, stop: tuple[str, ...]) -> bool:
        """Gives the row tokens until it ends; False if vLLM stopped at a stop text where the row is still blank."""
        request = await asyncio.to_thread(lambda: json.dumps(self._request(mixed, row.sampling, stop)))
        return await self.retry(lambda: self._stream(request, row), lambda error: row.is_blank and not error.timed_out)

    async def _stream(self, request: str, row: Writing) -> bool:
        row.begin_again()
        async with aclosing(self.events("completions", request)) as events:
            async for event in events:
                tokens, reason, stopped_at_text = self._piece(event)
                for token in tokens:
                    if not row.has_ended:
                        row.take(token)
                if row.has_ended and reason is None:
                    return True  # leaving closes the connection, which ends vLLM's work for this answer
                if reason is not None and not row.has_ended:
                    if row.is_blank and stopped_at_text:
                        return False
                    row.end(reason)
        if not row.has_ended:
            raise EngineError(f"{self.url} ended in the middle of the answer; see vLLM's log, and ask again.")
        return True

    def _piece(self, event: Any) -> tuple[list[int], FinishReason | None, bool]:
        """The tokens of an event; at the end, why the answer ended, and whether a stop text did it."""
        with self.expecting("completions", "tokens, as vLLM does"):
            if "error" in event or event["choices"][0].get("finish_reason") not in (None, "stop", "length"):
                said = " ".join(str(event.get("error", {}).get("message", "it gave it up")).split())[:200]
                raise EngineError(f"{self.url} failed in the middle of an answer ({said}); see vLLM's log.")
            (choice,) = event["choices"]
            tokens = [int(token) for token in choice["token_ids"]]
            return tokens, choice.get("finish_reason"), isinstance(choice.get("stop_reason"), str)


def _vllm_stops(stop: tuple[str, ...]) -> tuple[str, ...]:
    """The stop texts that vLLM may look for; the row looks for all. vLLM takes the space before the first word for a
    part of the answer, so that it would find a text that begins with space there. Line ends are no such case, since no
    token holds one together with a word."""
    return tuple(text for text in stop if text == text.lstrip() or not text.strip("\n"))


def _alone(mixed: MixedEmbeddings, index: int) -> MixedEmbeddings:
    """One prompt of a batch, without its padding."""
    real = mixed.mask[index].bool()
    return MixedEmbeddings(mixed.embeddings[index, real][None], mixed.mask[index, real][None])


def _encoded(mixed: MixedEmbeddings) -> str:
    """The prompt, (length, h₂), as vLLM reads it: what torch.save writes, in base64."""
    file = io.BytesIO()
    torch.save(mixed.embeddings[0].cpu().clone(), file)  # a view would be saved with all that it is a view of
    return base64.b64encode(file.getvalue()).decode()
