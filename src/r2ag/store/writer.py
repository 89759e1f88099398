"""Changes of a store, by the one process that may make them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from r2ag.errors import InputError
from r2ag.store.base import AnyWriter, StoredFile, check_vectors
from r2ag.store.conditions import COLUMNS, Value
from r2ag.store.database import Meta, plain_errors, transaction
from r2ag.store.matrix import pack
from r2ag.store.where import FIELD_NAME
from r2ag.store.words import indexed
from r2ag.types import Document

MAX_FIELDS = 64
MAX_FIELD_CHARACTERS = 1000
_KEYWORDS = frozenset(("and", "or", "not", "in", "like"))


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
        vectors = check_vectors(vectors, file.source, len(documents), self._dimension)
        self.remove(file.source)
        insert = "INSERT INTO files (source, digest, size, modified, fields) VALUES (?, ?, ?, ?, ?)"
        file_id = self.connection.execute(insert, _row(file)).lastrowid
        for document, vector in zip(documents, pack(vectors), strict=True):
            texts = storable_texts(document)
            insert = "INSERT INTO chunks (file, text, title, section, place) VALUES (?, ?, ?, ?, ?)"
            chunk = self.connection.execute(insert, (file_id, *texts)).lastrowid
            self.connection.execute("INSERT INTO vectors (chunk, vector) VALUES (?, ?)", (chunk, vector))
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


def storable(text: str) -> str:
    """Half characters (as in file names that are no UTF-8) become escapes, since UTF-8 can't hold them."""
    return text.encode("utf-8", "backslashreplace").decode()


def storable_texts(document: Document) -> list[str]:
    """A passage's text, title, section and place."""
    return [storable(text) for text in (document.text, document.title, document.section, document.place)]


def storable_fields(file: StoredFile) -> dict[str, Value]:
    """A file's own metadata, checked."""
    check_fields(file.fields)
    return {name: storable(value) if isinstance(value, str) else value for name, value in file.fields.items()}


def check_fields(fields: Mapping[str, Value]) -> None:
    """Refuses metadata that a search could not name.

    Raises:
        InputError: says which.
    """
    if len(fields) > MAX_FIELDS:
        raise InputError(f"There are {len(fields)} metadata fields; a file takes at most {MAX_FIELDS}.")
    for name, value in fields.items():
        if not FIELD_NAME.fullmatch(name) or name.lower() in {*_KEYWORDS, *COLUMNS}:
            raise InputError(
                f"A metadata field can't be named {name[:80]!r}; begin with a letter, use letters, digits, _ . and -, "
                f"and none of {', '.join(sorted({*_KEYWORDS, *COLUMNS}))}."
            )
        if len(str(value)) > MAX_FIELD_CHARACTERS:
            raise InputError(f"The metadata field {name} is longer than {MAX_FIELD_CHARACTERS:,} characters; cut it.")


def with_fields(file: StoredFile, fields: Mapping[str, Value]) -> StoredFile:
    """A file with further metadata; what it has under the same names is replaced."""
    return replace(file, fields=file.fields | dict(fields))


def _row(file: StoredFile) -> tuple[str, str, int, float, str]:
    return storable(file.source), file.digest, file.size, file.modified, json.dumps(storable_fields(file))
