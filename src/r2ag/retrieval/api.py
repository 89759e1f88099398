"""Vectors from any server with OpenAI's embeddings API."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from r2ag.errors import EngineError
from r2ag.io.http import APIClient
from r2ag.types import Document

TEXTS_A_REQUEST = 64
MAX_TOKENS = 512


class EmbeddingsAPI(APIClient):
    """A server's model as a text encoder, with vectors of unit length. Arguments are those of APIClient."""

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model

    @cached_property
    def dimension(self) -> int:
        """Length of a vector; asks the server once."""
        return int(self._embed(["dimension"]).shape[1])

    @property
    def max_tokens(self) -> int:
        """The longest text that is sent; every common model reads as much."""
        return MAX_TOKENS

    def count_tokens(self, text: str) -> int:
        """An upper estimate, three bytes a token: the server's tokenizer is not known here."""
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
            raise EngineError(f"{self.url} gave vectors of several lengths; check the server.")
        return np.concatenate(parts)

    def _embed(self, texts: Sequence[str]) -> np.ndarray:
        # An empty text is an error to some servers.
        sent = [text.encode("utf-8", "replace").decode() or " " for text in texts]
        request = {"input": sent, "encoding_format": "float"}

        def read(answer: Any) -> np.ndarray:
            return _unit_vectors(answer["data"], len(texts))

        return self.soon(self.ask("embeddings", request, read, "one vector for each text")).result()


def _unit_vectors(items: Any, count: int) -> np.ndarray:
    """The vectors in the order of their indices; raises ValueError unless there are `count` of one length."""
    ordered = sorted(items, key=lambda item: int(item["index"]))
    vectors = np.array([item["embedding"] for item in ordered], dtype=np.float32)
    complete = [int(item["index"]) for item in ordered] == list(range(count))
    if not complete or vectors.ndim != 2 or not vectors.shape[1] or not np.isfinite(vectors).all():
        raise ValueError
    unit: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return unit
