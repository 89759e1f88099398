"""The feature encoder for whoever is not the models' thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

import numpy as np

from r2ag.encoder.encoder import FeatureEncoder
from r2ag.server.model_thread import ModelThread
from r2ag.types import Document

Item = TypeVar("Item")
TEXTS_AT_ONCE = 8  # so that nobody waits long for the next token of an answer


class QueuedEncoder:
    """A TextEncoder for other threads: the models' thread encodes for them, some texts at a time."""

    def __init__(self, encoder: FeatureEncoder, thread: ModelThread) -> None:
        self.name = encoder.name
        self.dimension = encoder.dimension
        self.max_tokens = encoder.max_tokens
        self.count_tokens: Callable[[str], int] = encoder.token_counter()
        self._encoder = encoder
        self._thread = thread

    def encode_queries(self, queries: Sequence[str]) -> np.ndarray:
        """Vectors of questions: float32, shape (len(queries), dimension)."""
        return self._in_slices(self._encoder.encode_queries, queries)

    def encode_documents(self, documents: Sequence[Document]) -> np.ndarray:
        """Vectors of documents: float32, shape (len(documents), dimension)."""
        return self._in_slices(self._encoder.encode_documents, documents)

    def _in_slices(self, encode: Callable[[Sequence[Item]], np.ndarray], items: Sequence[Item]) -> np.ndarray:
        parts = [self._thread.run(partial(encode, part)).result() for part in slices(items)]
        return np.concatenate([np.zeros((0, self.dimension), dtype=np.float32), *parts])


def slices(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """TEXTS_AT_ONCE at a time."""
    for start in range(0, len(items), TEXTS_AT_ONCE):
        yield items[start : start + TEXTS_AT_ONCE]
