"""The embedded store: one folder that holds passages, their vectors and a full-text index.

store = Store.open(Path("my-store"))
with store.snapshot() as snapshot:
    hits = snapshot.matching("Which metal do the bridges use?", k=5)
    documents = snapshot.documents([hit.id for hit in hits])
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Lock

import numpy as np
from filelock import FileLock, Timeout

from r2ag.encoder.probe import Probe
from r2ag.errors import InputError
from r2ag.store import base, database
from r2ag.store.base import AnySnapshot, AnyStore, AnyWriter, Hit, StoredFile
from r2ag.store.conditions import CHUNKS, SQL_COLUMNS, Compared, Like, Sql, Value, to_sql
from r2ag.store.database import DATABASE, LOCK, Meta, connect_to_write, plain_errors, read_meta, transaction
from r2ag.store.vectors import EXACT_LIMIT, Matrix, Signs, StoredVectors, current_matrix, current_signs
from r2ag.store.where import read_where, storable, storable_fields, storable_texts
from r2ag.store.words import any_word, indexed
from r2ag.types import Document


class Store(AnyStore):
    """A folder with a database. It is connected to the database only while a snapshot or a writer is in use."""

    FORMAT_VERSION = database.FORMAT_VERSION

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
            raise base.no_store(folder)
        with plain_errors(folder), closing(database.connect(folder)) as connection:
            if not database.has_tables(connection):
                raise base.no_store(folder)
            return cls(folder, read_meta(connection, folder).encoder)

    @classmethod
    def make(cls, location: str | Path, encoder: Probe) -> None:
        folder = Path(location)
        _refuse_file(folder)
        if not (folder / DATABASE).is_file():
            _make_folder(folder)
        with _lock(folder), plain_errors(folder), closing(connect_to_write(folder)) as connection:
            if not database.has_tables(connection):
                database.create_tables(connection, encoder)

    def close(self) -> None:
        self._is_closed = True
        self._searched = Matrix.empty(self.encoder.dimension)

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        self._check_open()
        with plain_errors(self.folder), closing(database.connect(self.folder)) as connection:
            connection.execute("BEGIN")
            meta = read_meta(connection, self.folder)
            yield Snapshot(self, connection, meta)

    @contextmanager
    def writing(self) -> Iterator[StoreWriter]:
        self._check_open()
        with (
            _lock(self.folder),
            plain_errors(self.folder),
            closing(connect_to_write(self.folder)) as connection,
        ):
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
            raise base.damaged(self.folder, problem)

    def compact(self) -> None:
        """Needs as much disk again meanwhile; see AnyStore.compact."""
        with self.writing() as writer:
            with transaction(writer.connection):
                writer.connection.execute("INSERT INTO words (words) VALUES ('optimize')")
            writer.connection.execute("VACUUM")
            writer.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _check_open(self) -> None:
        if self._is_closed:
            raise base.closed(self.name)

    def searched(self, connection: sqlite3.Connection, meta: Meta) -> Matrix | Signs:
        """The vectors that a snapshot searches, or for a large store their signs."""
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


class Snapshot(AnySnapshot):
    """The store as it was when its transaction began; made by `Store.snapshot`."""

    def __init__(self, store: Store, connection: sqlite3.Connection, meta: Meta) -> None:
        self.meta = meta
        self._store = store
        self._connection = connection

    def __len__(self) -> int:
        return int(self._connection.execute("SELECT count(*) FROM chunks").fetchone()[0])

    def files(self) -> dict[str, StoredFile]:
        rows = self._connection.execute("SELECT source, digest, size, modified, fields FROM files ORDER BY source")
        return {
            source: StoredFile(source, digest, size, modified, json.loads(fields))
            for source, digest, size, modified, fields in rows
        }

    def nearest(self, vector: np.ndarray, k: int, where: str | None = None) -> list[Hit]:
        """Exact up to vectors.EXACT_LIMIT passages; in larger stores a few may be missed. See AnySnapshot.nearest."""
        among = None if where is None else self._ids(where)
        searched = self._store.searched(self._connection, self.meta)
        if isinstance(searched, Signs):
            ids = searched.candidates(vector, k, among)
            searched, among = Matrix(searched.generation, ids, self.vectors(ids.tolist())), None
        return [Hit(*found) for found in searched.nearest(vector, k, among)]

    def matching(self, question: str, k: int, where: str | None = None) -> list[Hit]:
        terms = any_word(question)
        if not terms:
            return []
        sql = "SELECT rowid, -rank FROM words WHERE words MATCH ?"
        parameters: list[Value] = [terms]
        if where is not None:
            passing = passages_where(where)
            # The + keeps SQLite from running the full-text query once for each of these ids.
            sql += f" AND +rowid IN ({passing.sql})"
            parameters += passing.parameters
        rows = self._connection.execute(f"{sql} ORDER BY rank, rowid LIMIT ?", [*parameters, k])
        return [Hit(*row) for row in rows]

    def ids(self, source: str | None = None) -> list[int]:
        if source is None:
            rows = self._connection.execute("SELECT id FROM chunks ORDER BY id")
        else:
            sql = f"SELECT chunks.id FROM {CHUNKS} WHERE files.source = ? ORDER BY chunks.id"
            rows = self._connection.execute(sql, (source,))
        return [row[0] for row in rows]

    def documents(self, ids: Sequence[int]) -> tuple[Document, ...]:
        sql = f"SELECT text, title, source, section, place FROM {CHUNKS} WHERE chunks.id = ?"
        rows = [self._connection.execute(sql, (id_,)).fetchone() for id_ in ids]
        return tuple(
            Document(text, title, source, section=section, place=place) for text, title, source, section, place in rows
        )

    def vectors(self, ids: Sequence[int]) -> np.ndarray:
        stored = StoredVectors(self._connection, self.meta.encoder.dimension, self._store.folder)
        return stored.read(ids).copy()  # torch wants to be able to write

    def _ids(self, where: str) -> np.ndarray:
        """Rising; as one text, which is read in a third of the time of so many rows."""
        passing = passages_where(where)
        sql = f"SELECT group_concat(id) FROM ({passing.sql})"
        (joined,) = self._connection.execute(sql, passing.parameters).fetchone()
        return np.sort(np.fromstring(joined, np.int64, sep=",")) if joined else np.zeros(0, np.int64)


class StoreWriter(AnyWriter):
    """Made by `Store.writing`, which holds the lock."""

    def __init__(self, connection: sqlite3.Connection, meta: Meta, folder: Path) -> None:
        self.connection = connection
        self._dimension = meta.encoder.dimension
        self._folder = folder

    @contextmanager
    def batch(self) -> Iterator[None]:
        with plain_errors(self._folder), transaction(self.connection):
            yield
            self.connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")

    def put(self, file: StoredFile, documents: Sequence[Document], vectors: np.ndarray) -> None:
        vectors = base.check_vectors(vectors, file.source, len(documents), self._dimension)
        self.remove(file.source)
        insert = "INSERT INTO files (source, digest, size, modified, fields) VALUES (?, ?, ?, ?, ?)"
        file_id = self.connection.execute(insert, _row(file)).lastrowid
        for document, vector in zip(documents, vectors.astype("<f4"), strict=True):
            texts = storable_texts(document)
            insert = "INSERT INTO chunks (file, text, title, section, place) VALUES (?, ?, ?, ?, ?)"
            chunk = self.connection.execute(insert, (file_id, *texts)).lastrowid
            self.connection.execute("INSERT INTO vectors (chunk, vector) VALUES (?, ?)", (chunk, vector.tobytes()))
            words = (chunk, indexed(texts[1]), indexed(texts[0]))
            self.connection.execute("INSERT INTO words (rowid, title, text) VALUES (?, ?, ?)", words)

    def describe(self, file: StoredFile) -> None:
        update = "UPDATE files SET digest = ?, size = ?, modified = ?, fields = ? WHERE source = ?"
        source, *described = _row(file)
        self.connection.execute(update, (*described, source))

    def remove(self, source: str) -> None:
        row = self.connection.execute("SELECT id FROM files WHERE source = ?", (storable(source),)).fetchone()
        if row is None:
            return
        chunks = self.connection.execute("SELECT id FROM chunks WHERE file = ?", row).fetchall()
        for table, key in (("words", "rowid"), ("vectors", "chunk"), ("chunks", "id")):
            self.connection.executemany(f"DELETE FROM {table} WHERE {key} = ?", chunks)
        self.connection.execute("DELETE FROM files WHERE id = ?", row)


def passages_where(expression: str) -> Sql:
    """Selects the ids of the embedded store's passages that meet an expression, in no order.

    What speaks of files alone is asked of files alone: they are fewer, and an index has the passages of each.

    Raises:
        InputError: it is none; says at which word.
    """
    met = to_sql(read_where(expression), "?", _comparison)
    if "chunks." not in met.sql:
        selected = f"SELECT id FROM chunks WHERE file IN (SELECT id FROM files WHERE {met.sql})"
    else:
        selected = f"SELECT chunks.id FROM {CHUNKS} WHERE {met.sql}"
    return Sql(selected, met.parameters)


def _comparison(leaf: Compared | Like) -> Sql:
    # As the writer's JSON spells the name (é is \u00e9 there): SQLite before 3.45 compares the two byte by byte.
    path = () if leaf.field in SQL_COLUMNS else (f"$.{json.dumps(leaf.field)}",)
    column = SQL_COLUMNS.get(leaf.field, "json_extract(files.fields, ?)")
    values: tuple[Value, ...]
    match leaf:
        case Like(_, pattern):
            sql, values = f"{column} LIKE ?", (*path, pattern)
        case Compared(_, sign, str() as text):
            sql, values = f"CAST({column} AS TEXT) {sign} ?", (*path, text)
        case Compared(_, sign, number):  # SQLite holds any text to be greater than any number
            sql, values = f"typeof({column}) != 'text' AND {column} {sign} ?", (*path, *path, number)
    return Sql(sql, values)


def _row(file: StoredFile) -> tuple[str, str, int, float, str]:
    return storable(file.source), file.digest, file.size, file.modified, json.dumps(storable_fields(file))


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
        raise base.being_written(folder) from None
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
