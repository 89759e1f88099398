"""Changes of a store in Qdrant: prepared where nobody sees them, then made to count by changing one point."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import numpy as np
from qdrant_client import models

from r2ag.errors import InputError
from r2ag.store.base import StoredFile, check_vectors
from r2ag.store.qdrant.collection import Collection
from r2ag.store.qdrant.lease import change_meta, current_meta
from r2ag.store.qdrant.points import (
    DENSE,
    FILE,
    PASSAGE,
    Meta,
    alive,
    file_point,
    is_any,
    passage_point,
    scroll,
    within,
)
from r2ag.store.writer import storable, storable_texts
from r2ag.types import Document

POINTS_AT_ONCE = 128
SOURCES_AT_ONCE = 500
READERS_SECONDS = 300.0  # nobody reads what died longer ago


@dataclass
class _Batch:
    """sent: files with points of the generation to come. gone: files whose older points die with it."""

    born: int
    points: list[models.PointStruct] = field(default_factory=list)
    sent: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)


class QdrantWriter:
    """See AnyWriter; made by `QdrantStore.writing`, which holds the lease."""

    def __init__(self, collection: Collection, writer: str) -> None:
        self._collection = collection
        self._writer = writer
        self._meta = current_meta(collection)
        self._next_id = self._meta.next_id
        self._batch = _Batch(self._meta.generation + 1)

    @contextmanager
    def batch(self) -> Iterator[None]:
        """See AnyWriter.batch."""
        self._batch = _Batch(self._meta.generation + 1)
        try:
            yield
            self._send()
            self._bury()
            self._commit()
        except BaseException:
            with suppress(InputError):  # the next writer does it
                self._still_mine(self._meta.generation)
                clear_away(self._collection)
            raise

    def put(self, file: StoredFile, documents: Sequence[Document], vectors: np.ndarray) -> None:
        """See AnyWriter.put."""
        vectors = check_vectors(vectors, file.source, len(documents), self._meta.encoder.dimension)
        self.remove(file.source)
        self._batch.sent.add(storable(file.source))
        self._add(file_point(self._new_id(), file, len(documents), self._batch.born))
        for document, vector in zip(documents, vectors, strict=True):
            self._add(passage_point(self._new_id(), file, storable_texts(document), vector, self._batch.born))

    def describe(self, file: StoredFile) -> None:
        """See AnyWriter.describe; the passages are stored anew, for each bears its file's metadata."""
        source = is_any("source", [storable(file.source)])
        if storable(file.source) in self._batch.sent:
            self._send()
            old = models.Filter(must=[source, within("born", gte=self._batch.born)])
        else:
            old = alive(self._meta.generation, source)
        points = list(scroll(self._collection, old, with_vectors=[DENSE]))
        if any(point.payload["kind"] == FILE for point in points):
            found = [point for point in points if point.payload["kind"] == PASSAGE]
            documents = [
                Document(**{key: point.payload[key] for key in ("text", "title", "section", "place")})
                for point in found
            ]
            vectors = [point.vector[DENSE] for point in found]
            self.put(file, documents, np.array(vectors, np.float32).reshape(len(found), self._meta.encoder.dimension))

    def remove(self, source: str) -> None:
        """See AnyWriter.remove."""
        source = storable(source)
        if source in self._batch.sent:
            self._send()
            self._still_mine(self._meta.generation)
            unseen = models.Filter(must=[is_any("source", [source]), within("born", gte=self._batch.born)])
            self._collection.call("delete", points_selector=unseen, wait=True)
            self._batch.sent.remove(source)
        self._batch.gone.add(source)

    def _new_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1

    def _add(self, point: models.PointStruct) -> None:
        self._batch.points.append(point)
        if len(self._batch.points) >= POINTS_AT_ONCE:
            self._send()

    def _send(self) -> None:
        if self._batch.points:
            self._still_mine(self._meta.generation)
            self._collection.call("upsert", points=self._batch.points, wait=True)
            self._batch.points = []

    def _bury(self) -> None:
        gone = sorted(self._batch.gone)
        for start in range(0, len(gone), SOURCES_AT_ONCE):
            self._still_mine(self._meta.generation)
            old = alive(self._meta.generation, is_any("source", gone[start : start + SOURCES_AT_ONCE]))
            died = {"died": self._batch.born, "died_at": time.time()}
            self._collection.call("set_payload", payload=died, points=old, wait=True)

    def _commit(self) -> None:
        changes: dict[str, object] = {
            "generation": self._batch.born,
            "next_id": self._next_id,
            "files": self._count(FILE),
            "passages": self._count(PASSAGE),
        }
        change_meta(self._collection, changes, writer=self._writer, generation=self._meta.generation)
        self._meta = self._still_mine(self._batch.born)

    def _still_mine(self, generation: int) -> Meta:
        """The description, in this generation.

        Raises:
            InputError: another process has taken the right to write meanwhile.
        """
        meta = current_meta(self._collection)
        if (meta.writer, meta.generation) != (self._writer, generation):
            raise InputError(
                f"Another process began to write the store {self._collection.name}, since this one was not heard of "
                "for long; give the same command again when it is done: what was done is kept."
            )
        return meta

    def _count(self, kind: str) -> int:
        """How many there will be."""
        conditions = alive(self._batch.born, is_any("kind", [kind]))
        count: int = self._collection.call("count", count_filter=conditions, exact=True).count
        return count


def clear_away(collection: Collection) -> None:
    """Takes back what a writer prepared that did not come to its end, and clears away what died long ago."""
    generation = current_meta(collection).generation
    collection.call("delete", points_selector=models.Filter(must=[within("born", gt=generation)]), wait=True)
    buried = models.Filter(must=[within("died", gt=generation)])
    collection.call("delete_payload", keys=["died", "died_at"], points=buried, wait=True)
    dead = [within("died", lte=generation), within("died_at", lt=time.time() - READERS_SECONDS)]
    collection.call("delete", points_selector=models.Filter(must=dead), wait=True)
