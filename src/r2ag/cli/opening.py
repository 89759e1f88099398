"""What several commands open: documents (files or a store), and models.

Each is a frozen object made of a command's options. Documents are read, and stores are opened, before any model loads,
so that what is wrong with them is said at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from r2ag.cli.options import EngineName, FinderName
from r2ag.cli.output import note
from r2ag.errors import InputError

if TYPE_CHECKING:
    from r2ag.corpus import Skipped, SourceFile
    from r2ag.encoder.encoder import FeatureEncoder, TextEncoder
    from r2ag.pipeline import Pipeline
    from r2ag.retrieval import Finder
    from r2ag.store import AnyStore
    from r2ag.types import Document

SKIPPED_SHOWN = 5


@dataclass(frozen=True)
class Models:
    """The models of a pipeline.

    Raises:
        InputError: --engine and --engine-url don't go together.
    """

    adapter: str | None
    llm: str | None
    retriever: str | None
    threshold: float | None = None
    engine: EngineName = "transformers"
    engine_url: str | None = None

    def __post_init__(self) -> None:
        if self.engine == "vllm" and not self.engine_url:
            raise InputError(
                "--engine vllm needs the server's address; add --engine-url, as in http://127.0.0.1:8001/v1."
            )
        if self.engine == "transformers" and self.engine_url:
            raise InputError("--engine-url is for --engine vllm; add that, or leave the address out.")

    def load(self) -> Pipeline:
        """Loads the models; see Pipeline.from_pretrained."""
        note("Loading the models …")
        from r2ag.pipeline import Pipeline

        return Pipeline.from_pretrained(
            self.adapter, self.llm, self.retriever, threshold=self.threshold, engine_url=self.engine_url
        )


@dataclass(frozen=True)
class Search:
    """How a store is searched: options that need --store."""

    where: str | None = None
    finder: FinderName = "dense"
    reranker: str | None = None
    encoder: str | None = None
    embeddings_url: str | None = None

    def finder_over(self, store: AnyStore, encoder: TextEncoder) -> Finder:
        """The finder over a store.

        Args:
            encoder: made the store's vectors.

        Raises:
            InputError: a model can't be loaded, or another encoder made the store.
        """
        from r2ag.retrieval import BM25Finder, DenseFinder, HybridFinder

        finder: Finder
        if self.finder == "bm25":
            finder = BM25Finder(store)
        else:
            finder = (DenseFinder if self.finder == "dense" else HybridFinder)(store, encoder)
        if self.reranker is None:
            return finder
        from r2ag.retrieval.rerank import RerankedFinder, load_cross_encoder

        return RerankedFinder(finder, load_cross_encoder(self.reranker))

    def store_encoder(self, adapters_encoder: TextEncoder) -> TextEncoder:
        """The encoder that made the store's vectors: the one that the options name, else the adapter's."""
        return open_encoder(self.encoder, self.embeddings_url) or adapters_encoder


@dataclass(frozen=True)
class Source:
    """Where documents come from: files that are held in memory, or a store.

    Args:
        more: what follows the first value of --docs on the command line.
    """

    docs: Sequence[Path] | None
    more: Sequence[Path] | None
    store: str | None
    search: Search = Search()

    def check(self) -> None:
        """Checks that the options go together.

        Raises:
            InputError: they don't.
            typer.BadParameter: neither files nor a store are given.
        """
        if self.docs and self.store is not None:
            raise InputError("--docs and --store can't go together; add the files to the store with r2ag index.")
        if self.store is not None and self.more:
            raise InputError(
                f"--store takes one store and {self.more[0]} follows it; if it is part of a question, quote that."
            )
        if self.store is None and not self.docs:
            raise typer.BadParameter("Give the documents with --docs PATH… or --store DIR.")
        if self.store is None and self.search != Search():
            raise InputError("--where, --finder, --reranker, --encoder and --embeddings-url need --store DIR.")

    def open(self) -> Callable[[Pipeline], None]:
        """Reads the files, or opens the store; the function that is returned gives the documents to a pipeline.

        Raises:
            InputError: they can't be read, or the options don't go together.
        """
        self.check()
        if self.store is not None:
            return self._open_store(self.store)
        for path in self.more or ():
            is_pattern = has_magic(str(path).rstrip("?"))  # a question's last word may end in this mark, too
            if not (os.path.lexists(path) or is_pattern):
                raise InputError(
                    f"There is no file or folder {path}; if it is part of the question, put that in quotes."
                )
        files = read_files([*(self.docs or ()), *(self.more or ())])

        def fill(pipeline: Pipeline) -> None:
            documents = cut_into_passages(files, pipeline.encoder)
            note(f"Encoding {len(documents)} passages …")
            pipeline.add(documents)

        return fill

    def _open_store(self, location: str) -> Callable[[Pipeline], None]:
        from r2ag.store import open_store, read_where

        search = self.search
        if search.where is not None:
            read_where(search.where)
        store = open_store(location)
        return lambda pipeline: pipeline.use(search.finder_over(store, search.store_encoder(pipeline.encoder)))


def read_files(paths: Sequence[Path]) -> list[SourceFile]:
    """The files that can be read; those that can't are named on stderr.

    Raises:
        InputError: a path is not there, or nothing can be read.
    """
    from r2ag.corpus import read_sources

    skipped: list[Skipped] = []
    files = read_sources(paths, skipped.append)
    tell_skipped(skipped, [(file.source, file.unread) for file in files if file.unread])
    return files


def cut_into_passages(files: Sequence[SourceFile], encoder: FeatureEncoder) -> list[Document]:
    """The passages of files, in sizes that the encoder reads whole."""
    from r2ag.corpus import chunk

    return [passage for file in files for passage in chunk(file, encoder.count_tokens, encoder.passage_tokens)]


def tell_skipped(skipped: Sequence[Skipped], unread: Sequence[tuple[str, Sequence[str]]] = ()) -> None:
    """Names on stderr the files that were skipped, and the places of others that were (source, places).

    After a few, it says only how many more there are.
    """
    missing = [f"Skipped {each.path}: it {each.reason}" for each in skipped]
    missing += [f"{source}: {', '.join(places)} can't be read." for source, places in unread]
    for sentence in missing[:SKIPPED_SHOWN]:
        note(sentence)
    if len(missing) > SKIPPED_SHOWN:
        note(f"… and the same with {len(missing) - SKIPPED_SHOWN} more.")


def open_encoder(name: str | None, embeddings_url: str | None) -> TextEncoder | None:
    """The encoder that --encoder and --embeddings-url name; None where they name none.

    Raises:
        InputError: the options don't go together, or the encoder can't be loaded.
    """
    if name is None:
        if embeddings_url is not None:
            raise InputError("--embeddings-url needs --encoder with the name of the server's model.")
        return None
    if embeddings_url is not None:
        from r2ag.retrieval.api import EmbeddingsAPI

        return EmbeddingsAPI(embeddings_url, name)
    note("Loading the encoder …")
    from r2ag.encoder.encoder import FeatureEncoder

    return FeatureEncoder.from_pretrained(name)
