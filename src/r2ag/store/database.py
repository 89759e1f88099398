"""The database of a store: its tables, how it is opened, and what is said when it can't be.

SQLite is the only truth; all else in memory is made from it. In WAL mode readers see the last complete state while one
process writes, and a process that is killed leaves that state behind.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

from r2ag.encoder.probe import Probe
from r2ag.errors import InputError
from r2ag.store.base import check_version, damaged, stored_probe
from r2ag.store.words import TABLE

DATABASE, LOCK = "store.sqlite", "store.lock"
FORMAT_VERSION = 1
WAIT_SECONDS = 10

# Rows of `chunks` never change and no id is used again: what is new has a higher id, what is gone is missing.
_SCHEMA = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID",
    "CREATE TABLE files (id INTEGER PRIMARY KEY, source TEXT NOT NULL UNIQUE, digest TEXT NOT NULL,"
    " size INTEGER NOT NULL, modified REAL NOT NULL, fields TEXT NOT NULL)",
    "CREATE TABLE chunks (id INTEGER PRIMARY KEY AUTOINCREMENT, file INTEGER NOT NULL REFERENCES files (id),"
    " text TEXT NOT NULL, title TEXT NOT NULL, section TEXT NOT NULL, place TEXT NOT NULL)",
    "CREATE INDEX chunks_of_file ON chunks (file)",
    "CREATE TABLE vectors (chunk INTEGER PRIMARY KEY REFERENCES chunks (id), vector BLOB NOT NULL)",
    TABLE,
)


@dataclass(frozen=True)
class Meta:
    """What a store knows of itself; `generation` goes up with each change of its documents.

    id: drawn when the store was made, so that one that is made anew in the same place is told from it.
    """

    id: str
    generation: int
    encoder: Probe


@contextmanager
def plain_errors(folder: Path) -> Iterator[None]:
    """Turns what SQLite complains of into a sentence about the store in `folder`."""
    try:
        yield
    except sqlite3.Error as error:
        code = (getattr(error, "sqlite_errorcode", None) or sqlite3.SQLITE_ERROR) & 0xFF
        raise InputError(_sentence(folder, code, error)) from error


def _sentence(folder: Path, code: int, error: sqlite3.Error) -> str:
    match code:
        case sqlite3.SQLITE_FULL:
            return (
                f"The disk that holds the store {folder} is full; make room and give the same command again: "
                "what was done is kept."
            )
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return str(damaged(folder, str(error)))
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return f"The store {folder} can't be opened or written ({error}); check the folder's permissions."
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"Another program holds the store {folder}; try again when it is done."
        case sqlite3.SQLITE_IOERR:
            return f"The store {folder} could not be read or written ({error}); check the disk."
    return f"The store {folder} is not one that this r2ag can use ({error}); index the files again into a new folder."


def connect(folder: Path) -> sqlite3.Connection:
    """A connection for reading; a folder that can't be written is read too."""
    file = folder / DATABASE
    writable = os.access(folder, os.W_OK) and os.access(file, os.W_OK)
    # Readers of a WAL database write beside it. Where they can't and no WAL is left, the file alone is all there is.
    options = "mode=rw" if writable else "mode=ro" if _has_wal(file) else "mode=ro&immutable=1"
    address = f"file:{quote(os.fsencode(file.absolute()))}?{options}"
    connection = sqlite3.connect(address, uri=True, timeout=WAIT_SECONDS, isolation_level=None)
    connection.execute("PRAGMA query_only = ON")
    return connection


def connect_to_write(folder: Path) -> sqlite3.Connection:
    """A connection whose commits outlast the process and the power; makes the file where there is none."""
    connection = sqlite3.connect(folder / DATABASE, timeout=WAIT_SECONDS, isolation_level=None)
    try:
        connection.execute("PRAGMA page_size = 16384")  # a vector of 384 numbers fills a third of the usual page
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of what is written inside, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def create_tables(connection: sqlite3.Connection, encoder: Probe) -> None:
    """Makes an empty store of vectors from this encoder."""
    meta = {
        "format_version": FORMAT_VERSION,
        "id": uuid4().hex,
        "generation": 0,
        "encoder": encoder.name,
        "dimension": encoder.dimension,
        "probe": encoder.vectors.astype("<f4").tobytes(),
    }
    with transaction(connection):
        for statement in _SCHEMA:
            connection.execute(statement)
        connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())


def has_tables(connection: sqlite3.Connection) -> bool:
    """Whether the database is more than a file that a killed process had just begun."""
    return bool(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])


def read_meta(connection: sqlite3.Connection, folder: Path) -> Meta:
    """What the store says of itself.

    Raises:
        InputError: a newer r2ag made it, or it is damaged.
    """
    meta = dict(connection.execute("SELECT key, value FROM meta"))
    check_version(meta.get("format_version"), FORMAT_VERSION, str(folder))
    encoder = stored_probe(meta.get("encoder"), meta.get("dimension"), meta.get("probe"), str(folder))
    if not isinstance(generation := meta.get("generation"), int):
        raise damaged(folder, "its generation is missing")
    return Meta(str(meta.get("id", "")), generation, encoder)


def _has_wal(file: Path) -> bool:
    wal = file.with_name(f"{file.name}-wal")
    return wal.is_file() and wal.stat().st_size > 0
