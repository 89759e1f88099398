"""Finders that search a store by vectors, by words, or by both."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Sequence

from r2ag.encoder.encoder import TextEncoder
from r2ag.errors import InputError
from r2ag.retrieval.base import Finder, Found
from r2ag.store.base import AnySnapshot, AnyStore, Hit

FUSION_CONSTANT = 60  # Cormack, Clarke and Büttcher, SIGIR 2009
FUSION_DEPTH = 100


class StoreFinder(Finder, ABC):
    """Searches one snapshot and reads the documents from it, so that they belong together."""

    def __init__(self, store: AnyStore) -> None:
        self.store = store

    @abstractmethod
    def search(self, snapshot: AnySnapshot, question: str, k: int, where: str | None) -> list[Hit]:
        """The k best passages of a snapshot."""

    def find(self, question: str, k: int, where: str | None = None) -> Found:
        with self.store.snapshot() as snapshot:
            if not len(snapshot):
                raise InputError(
                    f"The store {self.store.name} is empty; index some files with: "
                    f"r2ag index PATH --store {self.store.name}"
                )
            hits = self.search(snapshot, question, k, where)
            ids = [hit.id for hit in hits]
            return Found(
                documents=snapshot.documents(ids),
                scores=tuple(hit.score for hit in hits),
                vectors=snapshot.vectors(ids),
                encoder=self.store.encoder,
            )


class DenseFinder(StoreFinder):
    """By the similarity of vectors; exact except in very large stores (see Snapshot.nearest).

    Raises:
        InputError: the encoder is not the one that the store was made with.
    """

    def __init__(self, store: AnyStore, encoder: TextEncoder) -> None:
        super().__init__(store)
        store.check_encoder(encoder)
        self.encoder = encoder

    def search(self, snapshot: AnySnapshot, question: str, k: int, where: str | None) -> list[Hit]:
        """The nearest passages."""
        return snapshot.nearest(self.encoder.encode_queries([question])[0], k, where)


class BM25Finder(StoreFinder):
    """By the words that question and document share."""

    def search(self, snapshot: AnySnapshot, question: str, k: int, where: str | None) -> list[Hit]:
        """The best passages by BM25."""
        return snapshot.matching(question, k, where)


class HybridFinder(StoreFinder):
    """By vectors and words; fuses the two rankings."""

    def __init__(self, store: AnyStore, encoder: TextEncoder) -> None:
        super().__init__(store)
        self.parts: tuple[StoreFinder, ...] = (DenseFinder(store, encoder), BM25Finder(store))

    def search(self, snapshot: AnySnapshot, question: str, k: int, where: str | None) -> list[Hit]:
        """The best passages by reciprocal rank fusion."""
        depth = max(k, FUSION_DEPTH)
        return fuse([part.search(snapshot, question, depth, where) for part in self.parts])[:k]


def fuse(rankings: Sequence[Sequence[Hit]]) -> list[Hit]:
    """Reciprocal rank fusion: a passage's score is the sum of 1 / (60 + rank) over the rankings that have it."""
    scores = defaultdict[int, float](float)
    for ranking in rankings:
        for rank, hit in enumerate(ranking, start=1):
            scores[hit.id] += 1 / (FUSION_CONSTANT + rank)
    return [Hit(id_, score) for id_, score in sorted(scores.items(), key=lambda item: (-item[1], item[0]))]
