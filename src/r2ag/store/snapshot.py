"""One consistent state of a store, searched: whatever a writer does meanwhile."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from r2ag.store.base import AnySnapshot, Hit, StoredFile
from r2ag.store.conditions import Value
from r2ag.store.database import CHUNKS, Meta
from r2ag.store.matrix import Matrix, read_vectors
from r2ag.store.signs import Signs
from r2ag.store.where import passages_where
from r2ag.store.words import any_word
from r2ag.types import Document


class Snapshot(AnySnapshot):
    """The store as it was when its transaction began; made by `Store.snapshot`."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        meta: Meta,
        folder: Path,
        searched: Callable[[sqlite3.Connection], Matrix | Signs],
    ) -> None:
        self.meta = meta
        self._connection = connection
        self._folder = folder
        self._searched = searched

    def __len__(self) -> int:
        return int(self._connection.execute("SELECT count(*) FROM chunks").fetchone()[0])

    def files(self) -> dict[str, StoredFile]:
        rows = self._connection.execute("SELECT source, digest, size, modified, fields FROM files ORDER BY source")
        return {
            source: StoredFile(source, digest, size, modified, json.loads(fields))
            for source, digest, size, modified, fields in rows
        }

    def nearest(self, vector: np.ndarray, k: int, where: str | None = None) -> list[Hit]:
        """Exact up to signs.EXACT_LIMIT passages; in larger stores a few may be missed. See AnySnapshot.nearest."""
        among = None if where is None else self._ids(where)
        searched = self._searched(self._connection)
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
        found = read_vectors(self._connection, ids, self.meta.encoder.dimension, self._folder)
        return found.copy()  # torch wants to be able to write

    def _ids(self, where: str) -> np.ndarray:
        """Rising; as one text, which is read in a third of the time of so many rows."""
        passing = passages_where(where)
        sql = f"SELECT group_concat(id) FROM ({passing.sql})"
        (joined,) = self._connection.execute(sql, passing.parameters).fetchone()
        return np.sort(np.fromstring(joined, np.int64, sep=",")) if joined else np.zeros(0, np.int64)
