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

from r2ag.encoder.probe import Probe
from r2ag.errors import InputError
from r2ag.store.base import AnyStore, being_written, closed, damaged, no_store
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


class Store(AnyStore):
    """A folder with a database. It is connected to the database only while a snapshot or a writer is in use."""

    FORMAT_VERSION = FORMAT_VERSION

    def __init__(self, folder: Path, encoder: Probe) -> None:
        super().__init__(str(folder), encoder)
        self.folder = folder
        self._is_closed = False
        self._searched: Matrix | Signs = Matrix.empty(encoder.dimension)
        self._searched_id = ""  # the Meta.id of the store that it was made of
        self._searched_lock = Lock()

    @classmethod
    def open(cls, location: str | Path) -> Store:
        folder = Path(location)
        _refuse_file(folder)
        if not (folder / DATABASE).is_file():
            raise no_store(folder)
        with plain_errors(folder), closing(connect(folder)) as connection:
            if not has_tables(connection):
                raise no_store(folder)
            return cls(folder, read_meta(connection, folder).encoder)

    @classmethod
    def make(cls, location: str | Path, encoder: Probe) -> None:
        folder = Path(location)
        _refuse_file(folder)
        if not (folder / DATABASE).is_file():
            _make_folder(folder)
        with _lock(folder), plain_errors(folder), closing(connect_to_write(folder)) as connection:
            if not has_tables(connection):
                create_tables(connection, encoder)

    def close(self) -> None:
        self._is_closed = True
        self._searched = Matrix.empty(self.encoder.dimension)

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        self._check_open()
        with plain_errors(self.folder), closing(connect(self.folder)) as connection:
            connection.execute("BEGIN")
            meta = read_meta(connection, self.folder)
            yield Snapshot(connection, meta, self.folder, lambda reader: self._current(reader, meta))

    @contextmanager
    def writing(self) -> Iterator[StoreWriter]:
        self._check_open()
        with _lock(self.folder), plain_errors(self.folder), closing(connect_to_write(self.folder)) as connection:
            yield StoreWriter(connection, read_meta(connection, self.folder), self.folder)

    def bytes_on_disk(self) -> int:
        return sum(file.stat().st_size for file in self.folder.glob(f"{DATABASE}*"))

    def check(self) -> None:
        with self.writing() as writer:
            problem = _problem(writer.connection)
            if problem is None:
                generation = read_meta(writer.connection, self.folder).generation
                current_matrix(writer.connection, Matrix.empty(self.encoder.dimension), generation, self.folder)
        if problem is not None:
            raise damaged(self.folder, problem)

    def compact(self) -> None:
        """Needs as much disk again meanwhile; see AnyStore.compact."""
        with self.writing() as writer:
            with transaction(writer.connection):
                writer.connection.execute("INSERT INTO words (words) VALUES ('optimize')")
            writer.connection.execute("VACUUM")
            writer.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _check_open(self) -> None:
        if self._is_closed:
            raise closed(self.name)

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
        raise being_written(folder) from None
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
