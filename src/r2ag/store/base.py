"""What is common to all stores: the interface that indexing, searching and the server need, and what passes through it.

There are three kinds: the embedded one (`r2ag.store.Store`), `r2ag.store.postgres` and `r2ag.store.qdrant`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from r2ag.encoder.encoder import TextEncoder
from r2ag.encoder.probe import Probe
from r2ag.errors import InputError
from r2ag.store.conditions import Value
from r2ag.types import Document


@dataclass(frozen=True)
class Hit:
    """A passage by its id, with the score of the search that found it; the higher the better."""

    id: int
    score: float


@dataclass(frozen=True)
class StoredFile:
    """A file as the store knows it.

    digest: SHA-256 of its bytes, in hex. size: bytes. modified: seconds since 1970. fields: own metadata.
    """

    source: str
    digest: str
    size: int
    modified: float
    fields: dict[str, Value]


@dataclass(frozen=True)
class StoreInfo:
    """What a store is and holds; `fields` are the names of own metadata with how many files have each.

    name: as people know it, without passwords. bytes_on_disk: None where the engine does not tell.
    """

    name: str
    format_version: int
    generation: int
    encoder: str
    dimension: int
    files: int
    documents: int
    bytes_on_disk: int | None
    fields: dict[str, int]


class AnySnapshot(Protocol):
    """One state of a store, unchanging whatever a writer does meanwhile; for one thread. Its length is of passages."""

    def __len__(self) -> int: ...

    def files(self) -> dict[str, StoredFile]:
        """All files by their source."""

    def nearest(self, vector: np.ndarray, k: int, where: str | None = None) -> list[Hit]:
        """The k passages whose vectors have the greatest dot product with `vector`, (dimension,).

        Raises:
            InputError: `where` can't be read.
        """

    def matching(self, question: str, k: int, where: str | None = None) -> list[Hit]:
        """The k best passages by BM25 among those with a word of the question.

        Raises:
            InputError: `where` can't be read.
        """

    def ids(self, source: str | None = None) -> list[int]:
        """Of all passages, or of one file's, in the order in which they were stored."""

    def documents(self, ids: Sequence[int]) -> tuple[Document, ...]:
        """Passages in the order of `ids`."""

    def vectors(self, ids: Sequence[int]) -> np.ndarray:
        """Their vectors: float32, shape (len(ids), dimension)."""


class AnyWriter(Protocol):
    """Changes of a store, by the one process that may make them."""

    def batch(self) -> AbstractContextManager[None]:
        """What is put and removed inside is there as a whole or not at all, even if the process is killed.

        Raises:
            InputError: the store can't be written.
        """

    def put(self, file: StoredFile, documents: Sequence[Document], vectors: np.ndarray) -> None:
        """Takes a file's passages in place of those that the store has of it; their own `source` is not kept.

        Args:
            vectors: the encoder's vectors of `documents`, shape (len(documents), dimension).

        Raises:
            InputError: the vectors have another shape or are not finite numbers.
        """

    def describe(self, file: StoredFile) -> None:
        """Takes what is known of a file whose passages stay."""

    def remove(self, source: str) -> None:
        """Forgets a file, if the store has it."""


@runtime_checkable
class AnyStore(Protocol):
    """Passages, vectors, metadata and words. Many may read, from any thread, while one process writes.

    Attributes:
        name: as people know it, without passwords.
        encoder: what made the vectors.
    """

    @property
    def name(self) -> str: ...

    @property
    def encoder(self) -> Probe: ...

    def check_encoder(self, encoder: TextEncoder | Probe) -> None:
        """Refuses another encoder than the one that made the vectors.

        Raises:
            InputError: its vectors differ.
        """

    def snapshot(self) -> AbstractContextManager[AnySnapshot]:
        """The last complete state, unchanging while the block lasts.

        Raises:
            InputError: the store is gone, damaged, or can't be reached.
        """

    def writing(self) -> AbstractContextManager[AnyWriter]:
        """The right to change the store, which one process has at a time and loses when it ends.

        Raises:
            InputError: another process has it, or the store can't be written.
        """

    def info(self) -> StoreInfo:
        """What the store is and holds."""

    def check(self) -> None:
        """Reads all of the store and compares its parts.

        Raises:
            InputError: it is damaged; says how.
        """

    def compact(self) -> None:
        """Gives room that removed documents took back to the disk.

        Raises:
            InputError: the store's engine does that by itself, or the store can't be written.
        """


def check_encoder(store: AnyStore, encoder: TextEncoder | Probe) -> None:
    """See AnyStore.check_encoder."""
    if not store.encoder.same_as(Probe.of(encoder)):
        raise InputError(
            f"The store {store.name} holds vectors of the encoder {store.encoder.name} ({store.encoder.dimension} "
            f"numbers each), and {encoder.name} gives others; name the encoder or the adapter that the store was "
            "made with, or index the files again into a new store."
        )


def no_store(name: object) -> InputError:
    """What is said where a store is opened that is not there."""
    return InputError(f"There is no store in {name}; make one with: r2ag index PATH --store {name}")


def check_vectors(vectors: np.ndarray, source: str, count: int, dimension: int) -> np.ndarray:
    """A file's vectors as float32.

    Raises:
        InputError: they are not of shape (count, dimension), or not finite numbers.
    """
    vectors = np.asarray(vectors, dtype=np.float32)
    if vectors.shape != (count, dimension) or not np.isfinite(vectors).all():
        raise InputError(
            f"The vectors of {source} have shape {vectors.shape}; its {count} passages need finite "
            f"numbers of shape {(count, dimension)}."
        )
    return vectors


def check_version(found: object, known: int, name: str) -> None:
    """Refuses a store whose format this r2ag does not read.

    Raises:
        InputError: a newer r2ag made it.
    """
    if found != known:
        raise InputError(
            f"The store {name} has format version {found}, and this r2ag reads version {known}; "
            "upgrade r2ag, or index the files again into a new store."
        )
