"""A store in Qdrant, for many machines.

store = QdrantStore.open("qdrant+http://localhost:6333/notes")
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from qdrant_client import models

from r2ag.encoder.encoder import TextEncoder
from r2ag.encoder.probe import Probe
from r2ag.errors import InputError
from r2ag.store.base import StoreInfo, check_encoder, no_store
from r2ag.store.qdrant.collection import Collection
from r2ag.store.qdrant.lease import current_meta, held
from r2ag.store.qdrant.points import (
    DENSE,
    FILE,
    FORMAT_VERSION,
    INDEXED,
    PASSAGE,
    WORDS,
    alive,
    damaged,
    first_meta,
    is_any,
    read_meta,
    scroll,
)
from r2ag.store.qdrant.snapshot import QdrantSnapshot
from r2ag.store.qdrant.writer import QdrantWriter, clear_away


class QdrantStore:
    """See AnyStore."""

    def __init__(self, collection: Collection, encoder: Probe) -> None:
        self.name = collection.name
        self.encoder = encoder
        self._collection = collection

    @classmethod
    def open(cls, location: str) -> QdrantStore:
        """A store that is there.

        Raises:
            InputError: it is not, can't be reached, or was made by a newer r2ag.
        """
        collection = Collection.at(location)
        meta = read_meta(collection) if collection.call("collection_exists") else None
        if meta is None:
            raise no_store(collection.name)
        return cls(collection, meta.encoder)

    @classmethod
    def create(cls, location: str, encoder: TextEncoder | Probe) -> QdrantStore:
        """A store for vectors of this encoder: the one that is there, else a new, empty one.

        Raises:
            InputError: it can't be made, the collection holds other things, or the store vectors of another encoder.
        """
        collection = Collection.at(location)
        probe = Probe.of(encoder)
        if not collection.call("collection_exists"):
            _create_collection(collection, probe.dimension)
        meta = read_meta(collection)
        if meta is None:
            _check_empty(collection, probe)
            for key, kind in INDEXED.items():
                collection.call("create_payload_index", field_name=key, field_schema=kind, wait=True)
            collection.call("upsert", points=[first_meta(probe)], wait=True)
            meta = current_meta(collection)
        store = cls(collection, meta.encoder)
        store.check_encoder(encoder)
        return store

    def check_encoder(self, encoder: TextEncoder | Probe) -> None:
        """See AnyStore.check_encoder."""
        check_encoder(self, encoder)

    @contextmanager
    def snapshot(self) -> Iterator[QdrantSnapshot]:
        """See AnyStore.snapshot."""
        yield QdrantSnapshot(self._collection, current_meta(self._collection))

    @contextmanager
    def writing(self) -> Iterator[QdrantWriter]:
        """See AnyStore.writing."""
        with held(self._collection) as writer:
            clear_away(self._collection)
            yield QdrantWriter(self._collection, writer)

    def info(self) -> StoreInfo:
        """See AnyStore.info."""
        meta = current_meta(self._collection)
        files = QdrantSnapshot(self._collection, meta).files().values()
        return StoreInfo(
            name=self.name,
            format_version=FORMAT_VERSION,
            generation=meta.generation,
            encoder=self.encoder.name,
            dimension=self.encoder.dimension,
            files=meta.files,
            documents=meta.passages,
            bytes_on_disk=None,
            fields=dict(sorted(Counter(name for file in files for name in file.fields).items())),
        )

    def check(self) -> None:
        """See AnyStore.check."""
        meta = current_meta(self._collection)
        found = Counter[str]()
        for point in scroll(self._collection, alive(meta.generation, is_any("kind", [PASSAGE])), with_vectors=[DENSE]):
            vector = np.asarray((point.vector or {}).get(DENSE, ()), np.float32)
            if vector.shape != (self.encoder.dimension,) or not np.isfinite(vector).all():
                raise damaged(self._collection, f"the vector of a passage of {point.payload['source']} is missing")
            found[point.payload["source"]] += 1
        files = [point.payload for point in scroll(self._collection, alive(meta.generation, is_any("kind", [FILE])))]
        for file in files:
            if found.pop(file["source"], 0) != file["passages"]:
                raise damaged(self._collection, f"passages of {file['source']} are missing")
        if found or len(files) != meta.files:
            raise damaged(self._collection, "the descriptions of some files are missing")

    def compact(self) -> None:
        """See AnyStore.compact."""
        raise InputError(
            f"Qdrant gives the room that removed files took in {self.name} back by itself, so there is nothing to "
            "compact."
        )


def _create_collection(collection: Collection, dimension: int) -> None:
    try:
        collection.call(
            "create_collection",
            vectors_config={DENSE: models.VectorParams(size=dimension, distance=models.Distance.DOT)},
            sparse_vectors_config={WORDS: models.SparseVectorParams(modifier=models.Modifier.IDF)},
        )
    except InputError:  # a repeated request may find that the first one had arrived
        if not collection.call("collection_exists"):
            raise


def _check_empty(collection: Collection, encoder: Probe) -> None:
    """A collection that a killed process had just made, or somebody who wanted other shards, is taken.

    Raises:
        InputError: it holds other things, or takes other vectors.
    """
    if collection.call("count", exact=True).count:
        raise InputError(f"The collection {collection.name} holds other things than a store; name another for --store.")
    params = collection.call("get_collection").config.params
    dense = params.vectors.get(DENSE) if isinstance(params.vectors, dict) else None
    if dense is None or (dense.size, dense.distance) != (encoder.dimension, models.Distance.DOT):
        raise InputError(
            f"The collection {collection.name} takes other vectors than those of {encoder.name}; it needs one named "
            f"{DENSE} of {encoder.dimension} numbers with the distance Dot, and a sparse one named {WORDS} with the "
            "modifier IDF. Remove it, or name another for --store."
        )
    if WORDS not in (params.sparse_vectors or {}):
        raise InputError(
            f"The collection {collection.name} lacks the sparse vector {WORDS} with the modifier IDF; remove it, or "
            "name another for --store."
        )
