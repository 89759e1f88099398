"""The embedded store: one folder that holds passages, their vectors and a full-text index.

store = Store.open(Path("my-store"))
with store.snapshot() as snapshot:
    hits = snapshot.matching("Which metal do the bridges use?", k=5)
    documents = snapshot.documents([hit.id for hit in hits])
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Lock

from filelock import FileLock, Timeout

from r2ag.encoder.encoder import TextEncoder
from r2ag.encoder.probe import Probe
from r2ag.errors import InputError
from r2ag.store.base import StoreInfo, check_encoder, no_store
from r2ag.store.database import (
    DATABASE,
    FORMAT_VERSION,
    LOCK,
    Meta,
    connect,
    connect_to_write,
    create_tables,
    has_tables,
    plain_errors,
    read_meta,
    transaction,
)
from r2ag.store.matrix import Matrix, current_matrix
from r2ag.store.signs import EXACT_LIMIT, Signs, current_signs
from r2ag.store.snapshot import Snapshot
from r2ag.store.writer import StoreWriter


class Store:
    """A folder with a database; see AnyStore."""

    def __init__(self, folder: Path, encoder: Probe) -> None:
        self.folder = folder
        self.encoder = encoder
        self._searched: Matrix | Signs = Matrix.empty(encoder.dimension)
        self._searched_id = ""  # the Meta.id of the store that it was made of
        self._searched_lock = Lock()

    @property
    def name(self) -> str:
        """The folder, as it was given."""
        return str(self.folder)

    @classmethod
    def open(cls, folder: str | Path) -> Store:
        """A store that is there.

        Raises:
            InputError: it is not, or is damaged, or made by a newer r2ag.
        """
        folder = Path(folder)
        _refuse_file(folder)
        if not (folder / DATABASE).is_file():
            raise no_store(folder)
        with plain_errors(folder), closing(connect(folder)) as connection:
            if not has_tables(connection):
                raise no_store(folder)
            return cls(folder, read_meta(connection, folder).encoder)

    @classmethod
    def create(cls, folder: str | Path, encoder: TextEncoder | Probe) -> Store:
        """A store for vectors of this encoder: the one that is there, else a new, empty one.

        Raises:
            InputError: the folder is a file, can't be written, holds other things, or vectors of another encoder.
        """
        folder = Path(folder)
        _refuse_file(folder)
        probe = Probe.of(encoder)  # a server's may not answer, and nothing is made then
        if not (folder / DATABASE).is_file():
            _make_folder(folder)
        with _lock(folder), plain_errors(folder), closing(connect_to_write(folder)) as connection:
            if not has_tables(connection):
                create_tables(connection, probe)
            store = cls(folder, read_meta(connection, folder).encoder)
        store.check_encoder(probe)
        return store

    def check_encoder(self, encoder: TextEncoder | Probe) -> None:
        """See AnyStore.check_encoder."""
        check_encoder(self, encoder)

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """See AnyStore.snapshot."""
        with plain_errors(self.folder), closing(connect(self.folder)) as connection:
            connection.execute("BEGIN")
            meta = read_meta(connection, self.folder)
            yield Snapshot(connection, meta, self.folder, lambda reader: self._current(reader, meta))

    @contextmanager
    def writing(self) -> Iterator[StoreWriter]:
        """See AnyStore.writing."""
        with _lock(self.folder), plain_errors(self.folder), closing(connect_to_write(self.folder)) as connection:
            yield StoreWriter(connection, read_meta(connection, self.folder), self.folder)

    def info(self) -> StoreInfo:
        """What the store is and holds."""
        with self.snapshot() as snapshot:
            size = sum(file.stat().st_size for file in self.folder.glob(f"{DATABASE}*"))
            return StoreInfo(
                name=self.name,
                format_version=FORMAT_VERSION,
                generation=snapshot.meta.generation,
                encoder=self.encoder.name,
                dimension=self.encoder.dimension,
                files=snapshot.file_count(),
                documents=len(snapshot),
                bytes_on_disk=size,
                fields=snapshot.field_counts(),
            )

    def check(self) -> None:
        """See AnyStore.check."""
        with self.writing() as writer:
            problem = _problem(writer.connection)
            if problem is None:
                generation = read_meta(writer.connection, self.folder).generation
                current_matrix(writer.connection, Matrix.empty(self.encoder.dimension), generation, self.folder)
        if problem is not None:
            raise InputError(
                f"The store {self.folder} is damaged ({problem}); index the files again into a new folder."
            )

    def compact(self) -> None:
        """Gives room that removed documents took back to the disk; needs as much again meanwhile.

        Raises:
            InputError: the disk is full, or another process writes.
        """
        with self.writing() as writer:
            with transaction(writer.connection):
                writer.connection.execute("INSERT INTO words (words) VALUES ('optimize')")
            writer.connection.execute("VACUUM")
            writer.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _current(self, connection: sqlite3.Connection, meta: Meta) -> Matrix | Signs:
        """The vectors to search, or for a large store their signs."""
        generation, dimension = meta.generation, self.encoder.dimension
        with self._searched_lock:
            if self._searched_id != meta.id:
                self._searched, self._searched_id = Matrix.empty(dimension), meta.id
            former = self._searched
            if former.generation == generation:
                return former
            (count,) = connection.execute("SELECT count(*) FROM chunks").fetchone()
            searched: Matrix | Signs
            if count > EXACT_LIMIT:
                signs = former if isinstance(former, Signs) else None
                searched = current_signs(connection, signs, dimension, generation, self.folder)
            else:
                matrix = former if isinstance(former, Matrix) else Matrix.empty(dimension)
                searched = current_matrix(connection, matrix, generation, self.folder)
            if generation > former.generation:
                self._searched = searched
            return searched


def _problem(connection: sqlite3.Connection) -> str | None:
    """The first thing wrong with a database, if any."""
    (sound,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if sound != "ok":
        return " ".join(sound.split())
    if orphan := connection.execute("PRAGMA foreign_key_check").fetchone():
        return f"the table {orphan[0]} belongs to rows of {orphan[2]} that are gone"
    connection.execute("INSERT INTO words (words) VALUES ('integrity-check')")
    for table, key in (("vectors", "chunk"), ("words", "rowid")):
        ids = f"SELECT {key} FROM {table}"
        if connection.execute(f"SELECT 1 FROM chunks WHERE id NOT IN ({ids}) LIMIT 1").fetchone():
            return f"a passage is missing in the table {table}"
        if connection.execute(f"SELECT 1 FROM {table} WHERE {key} NOT IN (SELECT id FROM chunks) LIMIT 1").fetchone():
            return f"the table {table} holds a passage that is gone"
    return None


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """The operating system's lock on a file: it ends with the process that holds it, however that ends."""
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(
            f"Another process is writing the store {folder}; wait until it is done, then give the same command again."
        ) from None
    except OSError as error:
        raise InputError(f"Nothing can be written to the store {folder} ({error.strerror}).") from None
    try:
        yield
    finally:
        lock.release()


def _refuse_file(folder: Path) -> None:
    try:
        is_file = folder.exists() and not folder.is_dir()
    except OSError as error:  # too long a name, or folders that may not be entered
        raise InputError(f"{folder} can't be used ({error.strerror}); name another folder for --store.") from None
    if is_file:
        raise InputError(f"{folder} is a file; --store names a folder.")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        others = [file.name for file in folder.iterdir() if file.name != LOCK]
    except OSError as error:
        raise InputError(f"The folder {folder} can't be made ({error.strerror}); name another for --store.") from None
    if others:
        raise InputError(f"The folder {folder} holds other files; name a new one for --store.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"Nothing can be written to {folder}; name another folder for --store.")
