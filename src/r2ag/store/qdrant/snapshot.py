"""One generation of a store in Qdrant, searched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from qdrant_client import models

from r2ag.errors import InputError
from r2ag.store.base import Hit, StoredFile
from r2ag.store.bm25 import place, question_stems
from r2ag.store.qdrant.collection import Collection
from r2ag.store.qdrant.filters import to_filter
from r2ag.store.qdrant.points import (
    DENSE,
    FILE,
    PAGE,
    PASSAGE,
    WORDS,
    Meta,
    alive,
    is_any,
    scroll,
    stored_file,
)
from r2ag.store.where import read_where
from r2ag.types import Document

EXACT_UP_TO = 20_000
"""So many passages are all compared; of more, Qdrant's index (HNSW) finds the nearest."""
MAX_VALUES = 100_000


class QdrantSnapshot:
    """See AnySnapshot; made by `QdrantStore.snapshot`."""

    def __init__(self, collection: Collection, meta: Meta) -> None:
        self.meta = meta
        self._collection = collection

    def __len__(self) -> int:
        return self.meta.passages

    def files(self) -> dict[str, StoredFile]:
        """See AnySnapshot.files."""
        points = scroll(self._collection, self._alive(FILE))
        return dict(sorted((point.payload["source"], stored_file(point.payload)) for point in points))

    def nearest(self, vector: np.ndarray, k: int, where: str | None = None) -> list[Hit]:
        """See AnySnapshot.nearest; exact up to EXACT_UP_TO passages."""
        exact = models.SearchParams(exact=self.meta.passages <= EXACT_UP_TO)
        return self._query(DENSE, np.asarray(vector, np.float32).tolist(), k, where, exact)

    def matching(self, question: str, k: int, where: str | None = None) -> list[Hit]:
        """See AnySnapshot.matching."""
        places = sorted({place(stem) for stem in question_stems(question)})
        query = models.SparseVector(indices=places, values=[1.0] * len(places))  # Qdrant knows how rare each is
        hits = self._query(WORDS, query, k, where)
        return [hit for hit in hits if hit.score > 0] if places else []

    def ids(self, source: str | None = None) -> list[int]:
        """See AnySnapshot.ids."""
        more = () if source is None else (is_any("source", [source]),)
        return [point.id for point in scroll(self._collection, self._alive(PASSAGE, *more))]

    def documents(self, ids: Sequence[int]) -> tuple[Document, ...]:
        """See AnySnapshot.documents."""
        payloads = [point.payload for point in self._points(ids)]
        return tuple(
            Document(found["text"], found["title"], found["source"], section=found["section"], place=found["place"])
            for found in payloads
        )

    def vectors(self, ids: Sequence[int]) -> np.ndarray:
        """See AnySnapshot.vectors."""
        points = self._points(ids, with_vectors=[DENSE], with_payload=False)
        vectors = [point.vector[DENSE] for point in points]
        return np.array(vectors, np.float32).reshape(len(ids), self.meta.encoder.dimension)

    def _query(
        self, using: str, query: Any, k: int, where: str | None, params: models.SearchParams | None = None
    ) -> list[Hit]:
        more = [] if where is None else [to_filter(read_where(where), self._values)]
        if not self.meta.passages:
            return []
        found = self._collection.call(
            "query_points",
            query=query,
            using=using,
            query_filter=self._alive(PASSAGE, *more),
            search_params=params,
            limit=min(k, self.meta.passages),
            with_payload=False,
        )
        hits = [Hit(int(point.id), float(point.score)) for point in found.points]
        return sorted(hits, key=lambda hit: (-hit.score, hit.id))

    def _points(self, ids: Sequence[int], **parts: Any) -> list[Any]:
        found: dict[int, Any] = {}
        for start in range(0, len(ids), PAGE):
            points = self._collection.call("retrieve", ids=list(ids[start : start + PAGE]), **parts)
            found |= {point.id: point for point in points}
        if not all(id_ in found for id_ in ids):
            raise InputError(f"The store {self._collection.name} was changed for long while it was read; ask again.")
        return [found[id_] for id_ in ids]

    def _values(self, key: str) -> list[str]:
        """The different values of a payload's key.

        Raises:
            InputError: there are too many.
        """
        facet = self._collection.call(
            "facet", key=key, facet_filter=self._alive(PASSAGE), limit=MAX_VALUES + 1, exact=True
        )
        if len(facet.hits) > MAX_VALUES:
            raise InputError(
                f"--where asks {key} for more than equality, and the store {self._collection.name} has more than "
                f"{MAX_VALUES:,} different values of it; use = or in."
            )
        return [str(hit.value) for hit in facet.hits]

    def _alive(self, kind: str, *more: Any) -> models.Filter:
        return alive(self.meta.generation, is_any("kind", [kind]), *more)
