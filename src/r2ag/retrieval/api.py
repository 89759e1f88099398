"""Vectors from any server with OpenAI's embeddings API."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import httpx
import numpy as np

from r2ag.errors import InputError
from r2ag.types import Document

TEXTS_A_REQUEST = 64
ATTEMPTS = 4
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 20.0
MAX_RESPONSE_BYTES = 64_000_000
TIMEOUT = httpx.Timeout(60.0, connect=10.0)
MAX_TOKENS = 512
_PASSING = frozenset((408, 409, 429, 500, 502, 503, 504))


class EmbeddingsAPI:
    """A server's model as a text encoder; its vectors are brought to unit length.

    The key is OPENAI_API_KEY's, where that is set; it goes to this address alone (redirects are not followed).
    """

    def __init__(
        self,
        url: str,
        model: str,
        timeout: httpx.Timeout | float = TIMEOUT,
        first_pause: float = FIRST_PAUSE_SECONDS,
    ) -> None:
        """`url` ends where "/embeddings" follows, as in http://localhost:11434/v1.

        Raises:
            InputError: it is no http or https address, or the key can't be sent.
        """
        self.url = f"{url.rstrip('/')}/embeddings"
        self.name = model
        self._first_pause = first_pause
        key = os.environ.get("OPENAI_API_KEY", "")
        if not (key.isascii() and key.isprintable()):
            raise InputError("OPENAI_API_KEY holds characters that no key has; set it again.")
        try:
            scheme, host = httpx.URL(self.url).scheme, httpx.URL(self.url).host
        except httpx.InvalidURL:
            scheme, host = "", ""
        if scheme not in ("http", "https") or not host:
            raise InputError(f"{url!r} is no address of a server; give one as in http://localhost:11434/v1.")
        self._client = httpx.Client(timeout=timeout, headers={"Authorization": f"Bearer {key}"} if key else {})

    @cached_property
    def dimension(self) -> int:
        """Length of one vector; the server is asked once."""
        return int(self._embed(["dimension"]).shape[1])

    @property
    def max_tokens(self) -> int:
        """The longest text sent; every model in use reads that much."""
        return MAX_TOKENS

    def count_tokens(self, text: str) -> int:
        """An upper estimate, since the server's tokenizer is not at hand: three bytes a token."""
        return -(-len(text.encode("utf-8", "replace")) // 3)

    def encode_queries(self, queries: Sequence[str]) -> np.ndarray:
        """Vectors of questions: float32, shape (len(queries), dimension)."""
        return self._encode(queries)

    def encode_documents(self, documents: Sequence[Document]) -> np.ndarray:
        """Vectors of documents (title and text): float32, shape (len(documents), dimension)."""
        return self._encode([document.passage for document in documents])

    def _encode(self, texts: Sequence[str]) -> np.ndarray:
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        starts = range(0, len(texts), TEXTS_A_REQUEST)
        parts = [self._embed(texts[start : start + TEXTS_A_REQUEST]) for start in starts]
        if len({part.shape[1] for part in parts}) > 1:
            raise InputError(f"{self.url} gave vectors of several lengths; check the server.")
        return np.concatenate(parts)

    def _embed(self, texts: Sequence[str]) -> np.ndarray:
        # An empty text is an error to some servers.
        sent = [text.encode("utf-8", "replace").decode() or " " for text in texts]
        body = self._post({"model": self.name, "input": sent, "encoding_format": "float"})
        try:
            items = sorted(json.loads(body)["data"], key=lambda item: int(item["index"]))
            vectors = np.array([item["embedding"] for item in items], dtype=np.float32)
            complete = [int(item["index"]) for item in items] == list(range(len(texts)))
        except (ValueError, KeyError, TypeError, RecursionError):
            complete = False
        if not complete or vectors.ndim != 2 or not vectors.shape[1] or not np.isfinite(vectors).all():
            raise InputError(
                f"{self.url} did not answer with one vector for each text; check that it is an OpenAI-compatible "
                "embeddings server."
            )
        unit: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return unit

    def _post(self, request: dict[str, Any]) -> bytes:
        """The answer's body; what may pass is tried again, after ever longer pauses."""
        for attempt in range(ATTEMPTS):
            last = attempt == ATTEMPTS - 1
            pause = self._first_pause * 2**attempt
            try:
                with self._client.stream("POST", self.url, json=request) as response:
                    body = _limited_body(response)
            except (httpx.TransportError, httpx.DecodingError) as error:
                if last or isinstance(error, httpx.UnsupportedProtocol):
                    reason = str(error) or type(error).__name__
                    raise InputError(f"{self.url} can't be reached ({reason}); check the address.") from error
            else:
                if body is None:
                    raise InputError(f"{self.url} answered with more than {MAX_RESPONSE_BYTES:,} bytes; check it.")
                if response.status_code == httpx.codes.OK:
                    return body
                if last or response.status_code not in _PASSING:
                    raise InputError(self._refusal(response.status_code, body))
                pause = max(pause, _asked_pause(response))
            time.sleep(min(pause, LONGEST_PAUSE_SECONDS))
        raise AssertionError("The last attempt returns or raises.")

    def _refusal(self, status: int, body: bytes) -> str:
        advice = {
            401: "set OPENAI_API_KEY to a key of this server",
            403: "set OPENAI_API_KEY to a key of this server",
            404: f"check the address and the model's name, {self.name}",
        }.get(status, "try again later" if status in _PASSING else f"check the model's name, {self.name}")
        said = " ".join(_message(body).split())[:200]
        return f"{self.url} refused with status {status}{f' ({said})' if said else ''}; {advice}."


def _limited_body(response: httpx.Response) -> bytes | None:
    """The body, or None where it is too long."""
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if len(body) > MAX_RESPONSE_BYTES:
            return None
    return bytes(body)


def _message(body: bytes) -> str:
    """What the server says, where it says it as OpenAI's does."""
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


def _asked_pause(response: httpx.Response) -> float:
    seconds = response.headers.get("retry-after", "")
    return float(seconds) if seconds.isascii() and seconds.isdigit() else 0.0
