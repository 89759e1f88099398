"""What all stores have in common: the classes that indexing, searching and the server use.

There are three kinds: `r2ag.store.Store` (embedded), `r2ag.store.postgres` and `r2ag.store.qdrant`. A new kind
implements AnyStore, AnySnapshot and AnyWriter, and gets an address in `r2ag.store.locations`.
"""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, Self

import numpy as np

from r2ag.encoder.encoder import TextEncoder
from r2ag.encoder.probe import Probe
from r2ag.errors import InputError
from r2ag.store.conditions import Value
from r2ag.types import Document


@dataclass(frozen=True)
class Hit:
    """A passage by its id, with the score of the search that found it; higher is better."""

    id: int
    score: float


@dataclass(frozen=True)
class StoredFile:
    """A file as the store knows it.

    digest: SHA-256 of its bytes, in hex; empty if a process was stopped while it wrote the file to a store without
    transactions. The next index run repairs such a file. size: bytes. modified: seconds since 1970. fields: own
    metadata.
    """

    source: str
    digest: str
    size: int
    modified: float
    fields: dict[str, Value]


@dataclass(frozen=True)
class StoreInfo:
    """What a store is and holds; `fields` maps the names of own metadata to the number of files that have each.

    name: for people, without passwords. bytes_on_disk: None if the engine does not tell.
    """

    name: str
    format_version: int
    encoder: str
    dimension: int
    files: int
    documents: int
    bytes_on_disk: int | None
    fields: dict[str, int]


class AnySnapshot(Protocol):
    """A store as searches see it, for one thread. Its length is the number of passages.

    The embedded store and PostgreSQL show one state, which no writer changes. Qdrant shows changes as they happen.
    """

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
        """The ids of all passages, or of one file's; a file's passages are in their order."""

    def documents(self, ids: Sequence[int]) -> tuple[Document, ...]:
        """The passages with these ids, in the same order."""

    def vectors(self, ids: Sequence[int]) -> np.ndarray:
        """Their vectors: float32, shape (len(ids), dimension)."""


class AnyWriter(Protocol):
    """Changes a store."""

    def batch(self) -> AbstractContextManager[None]:
        """A transaction: all changes inside take effect, or none, even if the process is killed.

        Qdrant has no transactions. There, each file is complete by itself (see r2ag.store.qdrant).

        Raises:
            InputError: the store can't be written.
        """

    def put(self, file: StoredFile, documents: Sequence[Document], vectors: np.ndarray) -> None:
        """Replaces a file's passages; the documents' own `source` is not kept.

        Args:
            vectors: the encoder's vectors of `documents`, shape (len(documents), dimension).

        Raises:
            InputError: the vectors have another shape or are not finite numbers.
        """

    def describe(self, file: StoredFile) -> None:
        """Replaces what is known of a file whose passages stay."""

    def remove(self, source: str) -> None:
        """Removes a file, if the store has it."""


class AnyStore(ABC):
    """Passages, vectors, metadata and words. Many threads and processes may read while one process writes.

    A store is a context manager. Closing it ends its connections, and it can't be used afterwards.

    Attributes:
        name: for people, without passwords.
        encoder: made the vectors.
    """

    FORMAT_VERSION: ClassVar[int]

    def __init__(self, name: str, encoder: Probe) -> None:
        self.name = name
        self.encoder = encoder

    @classmethod
    @abstractmethod
    def open(cls, location: str | Path) -> Self:
        """An existing store.

        Raises:
            InputError: there is none, it is damaged, can't be reached, or another version of r2ag made it.
        """

    @classmethod
    @abstractmethod
    def make(cls, location: str | Path, encoder: Probe) -> None:
        """Makes an empty store, if there is none.

        Raises:
            InputError: it can't be made, or there are other things in its place.
        """

    @classmethod
    def create(cls, location: str | Path, encoder: TextEncoder | Probe) -> Self:
        """A store for vectors of this encoder: the existing one, else a new, empty one.

        Raises:
            InputError: it can't be made or opened, or holds vectors of another encoder.
        """
        probe = Probe.of(encoder)  # first, so that nothing is made if a server of encoders does not answer
        cls.make(location, probe)
        store = cls.open(location)
        with ExitStack() as on_error:
            on_error.callback(store.close)
            store.check_encoder(probe)
            on_error.pop_all()
        return store

    @abstractmethod
    def close(self) -> None:
        """Closes all connections; afterwards snapshot() and writing() raise InputError."""

    @abstractmethod
    def snapshot(self) -> AbstractContextManager[AnySnapshot]:
        """What there is to search.

        Raises:
            InputError: the store is closed, gone or damaged, or can't be reached.
        """

    @abstractmethod
    def writing(self) -> AbstractContextManager[AnyWriter]:
        """The right to change the store. One process has it at a time and loses it when it ends.

        Qdrant does not enforce this.

        Raises:
            InputError: another process has it, the store is closed, or it can't be written.
        """

    @abstractmethod
    def check(self) -> None:
        """Reads all of the store and compares its parts.

        Raises:
            InputError: it is damaged; says how.
        """

    def bytes_on_disk(self) -> int | None:
        """The size of the store; None if the engine does not tell."""
        return None

    def compact(self) -> None:
        """Gives the space of removed documents back to the disk.

        Raises:
            InputError: the engine does that by itself, or the store can't be written.
        """
        raise InputError(
            f"The server of {self.name} reuses the space of removed files by itself; there is nothing to compact."
        )

    def check_encoder(self, encoder: TextEncoder | Probe) -> None:
        """Checks that this encoder made the vectors.

        Raises:
            InputError: its vectors differ.
        """
        if not self.encoder.same_as(Probe.of(encoder)):
            raise InputError(
                f"The store {self.name} holds vectors of the encoder {self.encoder.name} ({self.encoder.dimension} "
                f"numbers each), and {encoder.name} gives others; name the encoder or the adapter that the store was "
                "made with, or index the files again into a new store."
            )

    def info(self) -> StoreInfo:
        """What the store is and holds."""
        with self.snapshot() as snapshot:
            files = snapshot.files()
            return StoreInfo(
                name=self.name,
                format_version=self.FORMAT_VERSION,
                encoder=self.encoder.name,
                dimension=self.encoder.dimension,
                files=len(files),
                documents=len(snapshot),
                bytes_on_disk=self.bytes_on_disk(),
                fields=dict(sorted(Counter(name for file in files.values() for name in file.fields).items())),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def no_store(name: object) -> InputError:
    """The error for a store that does not exist."""
    return InputError(f"There is no store in {name}; make one with: r2ag index PATH --store {name}")


def closed(name: object) -> InputError:
    """The error for a store that is used after it was closed."""
    return InputError(f"The store {name} is closed; open it again.")


def damaged(name: object, how: str) -> InputError:
    """The error for a store whose parts don't fit."""
    return InputError(
        f"The store {name} is damaged ({how}); restore a backup, or index the files again into a new store."
    )


def being_written(name: object) -> InputError:
    """The error for a second writer."""
    return InputError(
        f"Another process is writing the store {name}; wait until it is done, then give the same command again."
    )


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
        InputError: another version of r2ag made it.
    """
    if found != known:
        raise InputError(
            f"The store {name} has format version {found}, and this r2ag reads version {known}; "
            "upgrade r2ag, or index the files again into a new store."
        )


def stored_probe(encoder: object, dimension: object, vectors: object, name: str) -> Probe:
    """The encoder as a store describes it; `vectors` are bytes of little-endian float32, or these in base64.

    Raises:
        InputError: the description is damaged.
    """
    try:
        vectors = base64.b64decode(vectors, validate=True) if isinstance(vectors, str) else vectors
        return Probe(str(encoder), np.frombuffer(vectors, dtype="<f4").reshape(-1, dimension))  # type: ignore[call-overload]
    except (TypeError, ValueError):
        raise damaged(name, "its description of the encoder can't be read") from None
