"""Searches in threads of their own, so that a slow disk or another machine delays no answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from functools import partial
from typing import TypeVar

import numpy as np

from r2ag.encoder.encoder import FeatureEncoder, TextEncoder
from r2ag.retrieval import BM25Finder, DenseFinder, Finder, Found, HybridFinder, StoreFinder
from r2ag.retrieval.rerank import RerankedFinder, relevance_scores
from r2ag.server.errors import ApiError
from r2ag.server.model_thread import ModelThread
from r2ag.types import Document

Item = TypeVar("Item")
TEXTS_AT_ONCE = 8  # this bounds how long an answer's next token waits


class Searching:
    """Runs a finder in threads of its own; models that it uses run on the model thread.

    Args:
        is_empty: whether there is nothing to search, which is asked before each search.
        size: searches at the same time. A cancelled one keeps its thread until it is done.
    """

    def __init__(self, finder: Finder, is_empty: Callable[[], bool], thread: ModelThread, size: int) -> None:
        self._finder = _of_any_thread(finder, thread)
        self._is_empty = is_empty
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="searching")

    async def find(self, question: str, k: int, where: str | None) -> tuple[Found, float]:
        """What is found, and the milliseconds it took; raises what Finder.find raises.

        Raises:
            ApiError: there is nothing to search.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._find, question, k, where)

    def close(self) -> None:
        """Waits for running searches; they need the model thread until their end."""
        self._threads.shutdown(cancel_futures=True)

    def _find(self, question: str, k: int, where: str | None) -> tuple[Found, float]:
        if self._is_empty():
            raise ApiError(400, "There are no documents yet; add some with POST /v1/documents.", code="no_documents")
        started = time.perf_counter()
        found = self._finder.find(question, k, where)
        return found, (time.perf_counter() - started) * 1000


class QueuedEncoder:
    """Encodes from other threads, through the model thread, a few texts at a time."""

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


def queued(encoder: TextEncoder, thread: ModelThread) -> TextEncoder:
    """The encoder for use in other threads; one that asks a server can be used as it is."""
    return QueuedEncoder(encoder, thread) if isinstance(encoder, FeatureEncoder) else encoder


def _of_any_thread(finder: Finder, thread: ModelThread) -> Finder:
    """The same finder for use in other threads."""
    if isinstance(finder, RerankedFinder):
        return _QueuedReranking(_of_any_thread(finder.finder, thread), finder, thread)
    if isinstance(finder, BM25Finder | DenseFinder | HybridFinder):
        return _with_queued_encoders(finder, thread)
    return _OnModelThread(finder, thread)


def _with_queued_encoders(finder: StoreFinder, thread: ModelThread) -> StoreFinder:
    own = copy(finder)
    if isinstance(own, DenseFinder):
        own.encoder = queued(own.encoder, thread)
    elif isinstance(own, HybridFinder):
        own.parts = tuple(_with_queued_encoders(part, thread) for part in own.parts)
    return own


class _QueuedReranking(RerankedFinder):
    """Reranks on the model thread, a few pairs at a time."""

    def __init__(self, finder: Finder, reranked: RerankedFinder, thread: ModelThread) -> None:
        super().__init__(finder, reranked.model, reranked.depth)
        self._thread = thread

    def scores(self, question: str, documents: Sequence[Document]) -> np.ndarray:
        """See RerankedFinder.scores."""
        parts = [partial(relevance_scores, self.model, question, part) for part in slices(documents)]
        return np.concatenate([self._thread.run(part).result() for part in parts])


class _OnModelThread:
    """Runs an unknown kind of finder on the model thread, since it may use models."""

    def __init__(self, finder: Finder, thread: ModelThread) -> None:
        self._finder = finder
        self._thread = thread

    def find(self, question: str, k: int, where: str | None = None) -> Found:
        """See Finder.find."""
        return self._thread.run(lambda: self._finder.find(question, k, where)).result()
