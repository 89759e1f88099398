"""How a store is searched, as the options say it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from r2ag.cli.index import open_encoder

if TYPE_CHECKING:
    from r2ag.encoder.encoder import TextEncoder
    from r2ag.retrieval import Finder
    from r2ag.store import AnyStore


class FinderName(StrEnum):
    """What --finder takes."""

    DENSE = "dense"
    BM25 = "bm25"
    HYBRID = "hybrid"


FinderChoice = Annotated[
    FinderName, typer.Option("--finder", help="How a store is searched: by vectors, by words, or by both.")
]
Reranker = Annotated[
    str | None,
    typer.Option(
        "--reranker",
        metavar="MODEL",
        help="A cross-encoder (sentence-transformers) that puts what a store finds in order.",
        show_default="none",
    ),
]


@dataclass(frozen=True)
class StoreSearch:
    """The options that go with --store."""

    where: str | None = None
    finder: FinderName = FinderName.DENSE
    reranker: str | None = None
    encoder: str | None = None
    embeddings_url: str | None = None

    def open(self, location: str) -> AnyStore:
        """The store, before any model is loaded.

        Raises:
            InputError: it can't be opened, or the condition can't be read.
        """
        from r2ag.store import open_store, read_where

        if self.where is not None:
            read_where(self.where)
        return open_store(location)

    def finder_over(self, store: AnyStore, adapters_encoder: TextEncoder) -> Finder:
        """The finder; a store that the adapter's encoder did not make needs its own, or no vectors at all.

        Raises:
            InputError: a model can't be had, or the store was made with another encoder.
        """
        from r2ag.retrieval import BM25Finder, DenseFinder, HybridFinder

        finder: Finder
        if self.finder is FinderName.BM25:
            finder = BM25Finder(store)
        else:
            kind = DenseFinder if self.finder is FinderName.DENSE else HybridFinder
            finder = kind(store, self.store_encoder(adapters_encoder))
        if self.reranker is None:
            return finder
        from r2ag.retrieval.rerank import RerankedFinder, load_cross_encoder

        return RerankedFinder(finder, load_cross_encoder(self.reranker))

    def store_encoder(self, adapters_encoder: TextEncoder) -> TextEncoder:
        """The encoder whose vectors the store holds.

        Raises:
            InputError: it can't be had.
        """
        if self.encoder is None and self.embeddings_url is None:
            return adapters_encoder
        return open_encoder(None, None, self.encoder, self.embeddings_url)
