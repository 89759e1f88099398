"""Step 4 (eq. 6) by a vLLM server, over HTTP: it gets mixed embeddings as they are and streams tokens back.

The tokens become text here, as they do in process, so that an answer is the same whichever engine writes it. One event
loop in a thread of its own sends all requests, side by side over pooled connections; vLLM batches them.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, Literal

import httpx
import torch

from r2ag.engines.generation import Generation
from r2ag.engines.writing import LEAST_TEMPERATURE, Sampling, Writing
from r2ag.errors import EngineError
from r2ag.io.http import address, key_header, reason, refusal
from r2ag.method.embeddings import MixedEmbeddings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

TIMEOUT = httpx.Timeout(300.0, connect=10.0, pool=None)
PROBE_TIMEOUT = httpx.Timeout(5.0)
# vLLM closes connections that are idle for five seconds; none is used again that it may be closing just now.
LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=3.0)


class VLLMEngine:
    """An LLM that a vLLM server runs with --enable-prompt-embeds; both an Engine and an AnswerWriter.

    Args:
        url: ends where "/completions" follows, as in http://127.0.0.1:8001/v1. OPENAI_API_KEY is sent where it is set.
        end_of_turn: ends an answer, beside the tokenizer's end of text.
        timeout: of requests for answers; reading is bounded from one piece to the next.

    Raises:
        InputError: the address is none, or the key can't be sent.
        EngineError: the server can't be reached, or is no vLLM.
    """

    has_llm = False

    def __init__(
        self,
        url: str,
        tokenizer: PreTrainedTokenizerFast,
        end_of_turn: int,
        timeout: httpx.Timeout | float = TIMEOUT,
    ) -> None:
        self.tokenizer = tokenizer
        self.stop_tokens = sorted({end_of_turn, int(tokenizer.eos_token_id)})
        self.writing = 0
        self.url = address(url, "completions")
        self._models = address(url, "models")
        self._client = httpx.AsyncClient(timeout=timeout, limits=LIMITS, headers=key_header())
        self.model = ""
        self.model, served = self._soon(self._served()).result()
        self.context_window: int | None = served

    def check(self) -> Future[None]:
        """Whether the server answers: the future raises EngineError where it does not."""

        async def check() -> None:
            await self._served()

        return self._soon(check())

    def write(self, mixed: MixedEmbeddings, row: Writing) -> Future[Generation]:
        """See AnswerWriter."""
        return self._soon(self._write(mixed, row))

    def generate(
        self,
        mixed: MixedEmbeddings,
        max_new_tokens: int,
        on_text: Callable[[str], None] | None = None,
        stop: str = "",
    ) -> list[Generation]:
        """See Engine; the prompts of a batch are sent side by side."""
        sampling = Sampling(max_new_tokens, stop=(stop,) if stop else ())
        pieces: SimpleQueue[str | None] = SimpleQueue()
        rows = [
            Writing(sampling, self.tokenizer, self.stop_tokens, pieces.put if on_text else lambda piece: None)
            for _ in mixed.embeddings
        ]
        futures = [self.write(_alone(mixed, index), row) for index, row in enumerate(rows)]
        try:
            if on_text is not None:
                futures[0].add_done_callback(lambda _: pieces.put(None))
                while (piece := pieces.get()) is not None:
                    on_text(piece)
            return [future.result() for future in futures]
        finally:  # does nothing to those that are done
            for future in futures:
                future.cancel()

    def _request(self, mixed: MixedEmbeddings, sampling: Sampling, stop: tuple[str, ...]) -> dict[str, Any]:
        """What vLLM is sent; what the LLM's own generation_config says of sampling belongs to no answer here."""
        is_greedy = sampling.temperature < LEAST_TEMPERATURE
        return {
            "model": self.model,
            "prompt_embeds": _encoded(mixed),
            "max_tokens": sampling.max_new_tokens,
            "temperature": 0.0 if is_greedy else sampling.temperature,
            "top_p": 1.0 if is_greedy else sampling.top_p,
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
            stop = _stops_here(row.sampling.stop)
            if not await self._fill(mixed, row, stop):
                # A line's end at an answer's very beginning ends nothing; the row looks for further ones by itself.
                row.begin_again()
                await self._fill(mixed, row, tuple(text for text in stop if text.strip()))
            return row.generation()
        finally:
            self.writing -= 1

    async def _fill(self, mixed: MixedEmbeddings, row: Writing, stop: tuple[str, ...]) -> bool:
        """Takes tokens until the row ends; False where vLLM ended it for line ends that the row takes for none."""
        request = await asyncio.to_thread(lambda: json.dumps(self._request(mixed, row.sampling, stop)).encode())
        async with self._answering("POST", self.url, request) as response:
            async for piece in _pieces(response, self.url):
                for token in piece.tokens:
                    if not row.has_ended:
                        row.take(token)
                if row.has_ended and not piece.reason:
                    return True  # leaving closes the connection, which ends vLLM's work for it
                if piece.reason and not row.has_ended:
                    if row.is_blank and piece.stopped_at_text:
                        return False
                    row.end(is_whole=piece.reason == "stop")
        if not row.has_ended:
            raise EngineError(f"{self.url} ended in the middle of the answer; see vLLM's own log, and ask again.")
        return True

    async def _served(self) -> tuple[str, int]:
        """The name that vLLM gives the LLM, and how many tokens it takes."""
        async with self._answering("GET", self._models, None, PROBE_TIMEOUT) as response:
            body = await response.aread()
        try:
            model = json.loads(body)["data"][0]
            return str(model["id"]), int(model["max_model_len"])
        except (ValueError, LookupError, TypeError):
            raise EngineError(f"{self._models} did not answer as vLLM does; check the engine's address.") from None

    @asynccontextmanager
    async def _answering(
        self, method: str, url: str, content: bytes | None, timeout: httpx.Timeout | None = None
    ) -> AsyncIterator[httpx.Response]:
        """A response of success; what goes wrong before or in it is an EngineError."""
        chosen: dict[str, Any] = {} if timeout is None else {"timeout": timeout}
        headers = {"Content-Type": "application/json"}
        try:
            async with self._client.stream(method, url, content=content, headers=headers, **chosen) as response:
                if response.status_code != httpx.codes.OK:
                    raise EngineError(refusal(url, self.model, response.status_code, await response.aread()))
                yield response
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise EngineError(f"{url} can't be reached ({reason(error)}); is vLLM running there?") from error
        except httpx.TimeoutException as error:
            raise EngineError(f"{url} was silent for too long; see whether vLLM is overloaded.", True) from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise EngineError(
                f"{url} broke off in the middle of an answer ({reason(error)}); see vLLM's own log, and ask again."
            ) from error

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        Thread(target=loop.run_forever, name="vllm", daemon=True).start()
        return loop

    def _soon(self, work: Any) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)


@dataclass(frozen=True)
class _Piece:
    """What one event of a stream brings: tokens, and why the answer ended, where it has."""

    tokens: list[int]
    reason: Literal["stop", "length", ""] = ""
    stopped_at_text: bool = False

    @classmethod
    def of(cls, event: dict[str, Any], url: str) -> _Piece:
        """Raises EngineError where vLLM failed, or it is no event of vLLM's."""
        if "error" in event or event["choices"][0].get("finish_reason") not in (None, "stop", "length"):
            said = " ".join(str(event.get("error", {}).get("message", "it gave it up")).split())[:200]
            raise EngineError(f"{url} failed in the middle of an answer ({said}); see vLLM's own log, and ask again.")
        (choice,) = event["choices"]
        tokens = [int(token) for token in choice["token_ids"]]
        return cls(tokens, choice.get("finish_reason") or "", isinstance(choice.get("stop_reason"), str))


async def _pieces(response: httpx.Response, url: str) -> AsyncIterator[_Piece]:
    async for line in response.aiter_lines():
        if line.startswith("data: {"):
            try:
                piece = _Piece.of(json.loads(line[len("data: ") :]), url)
            except EngineError:
                raise
            except (ValueError, LookupError, TypeError, AttributeError):
                raise EngineError(f"{url} did not stream as vLLM does; check the engine's address.") from None
            yield piece


def _stops_here(stop: tuple[str, ...]) -> tuple[str, ...]:
    """Those that vLLM can look for, where the row looks for all: to vLLM the space before the first word is a part of
    the answer, and what begins with space may be found there. Line ends stay, for they share no token with a word."""
    return tuple(text for text in stop if text == text.lstrip() or not text.strip("\n"))


def _alone(mixed: MixedEmbeddings, index: int) -> MixedEmbeddings:
    """One prompt of a batch, without its padding."""
    real = mixed.mask[index].bool()
    return MixedEmbeddings(mixed.embeddings[index, real][None], mixed.mask[index, real][None])


def _encoded(mixed: MixedEmbeddings) -> str:
    """(length, h₂) as vLLM reads it: what torch.save writes, in base64."""
    file = io.BytesIO()
    torch.save(mixed.embeddings[0].cpu().clone(), file)  # a view would be saved with all that it is a view of
    return base64.b64encode(file.getvalue()).decode()
