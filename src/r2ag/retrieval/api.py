"""Vectors from any server with OpenAI's embeddings API."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property

import httpx
import numpy as np

from r2ag.errors import InputError
from r2ag.io.http import FIRST_PAUSE_SECONDS, TIMEOUT, Endpoint
from r2ag.types import Document

TEXTS_A_REQUEST = 64
MAX_TOKENS = 512


class EmbeddingsAPI:
    """A server's model as a text encoder; its vectors are brought to unit length.

    The key is OPENAI_API_KEY's, where that is set; see Endpoint.
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
        self._endpoint = Endpoint(url, "embeddings", model, timeout, first_pause)
        self.url = self._endpoint.url
        self.name = model

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
        body = self._endpoint.post({"input": sent, "encoding_format": "float"})
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
