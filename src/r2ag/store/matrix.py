"""The vectors of a store in memory: a cache, made from the database and from its former self.

A large store's is made of signs instead (see r2ag.store.signs); how a cache's rows follow the database is the same.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from r2ag.store.base import damaged

ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class Matrix:
    """Vectors of one generation of a store: ids int64, rising, shape (n,); vectors float32, shape (n, dimension)."""

    generation: int
    ids: np.ndarray
    vectors: np.ndarray

    @classmethod
    def empty(cls, dimension: int) -> Matrix:
        """What there is before the first generation."""
        return cls(-1, np.zeros(0, np.int64), np.zeros((0, dimension), np.float32))

    def nearest(self, query: np.ndarray, k: int, among: np.ndarray | None = None) -> list[tuple[int, float]]:
        """(id, dot product) of the k nearest by falling product; equals by rising id.

        Args:
            query: shape (dimension,).
            among: ids to choose from, int64; None chooses from all.
        """
        ids, scores = self.ids, np.zeros(0, np.float32)
        if among is None:
            scores = self.vectors @ query
        else:
            rows = np.searchsorted(self.ids, among)
            ids = self.ids[rows]
            few = len(rows) < len(self.ids) / 4  # copying rows costs more than multiplying them
            scores = self.vectors[rows] @ query if few else (self.vectors @ query)[rows]
        if len(scores) > k:
            candidates = np.flatnonzero(scores >= np.partition(scores, -k)[-k])
            ids, scores = ids[candidates], scores[candidates]
        order = np.lexsort((ids, -scores))[:k]
        return list(zip(ids[order].tolist(), scores[order].tolist(), strict=True))


def current_matrix(connection: sqlite3.Connection, former: Matrix, generation: int, folder: Path) -> Matrix:
    """The matrix of the generation that the connection's transaction sees; only rows that `former` lacks are read.

    Raises:
        InputError: a stored vector is damaged.
    """
    if former.generation == generation:
        return former
    ids = stored_ids(connection)
    stored = StoredVectors(connection, former.vectors.shape[1], folder)
    return Matrix(generation, ids, stored.joined(ids, former.ids, former.vectors, lambda vectors: vectors))


def stored_ids(connection: sqlite3.Connection) -> np.ndarray:
    """The ids of all passages, int64, rising."""
    # Unordered, so that SQLite reads its index of files, which is a hundredth of the texts or vectors.
    return np.sort(np.fromiter((row[0] for row in connection.execute("SELECT id FROM chunks")), np.int64))


@dataclass(frozen=True)
class StoredVectors:
    """The vectors that a database holds."""

    connection: sqlite3.Connection
    dimension: int
    folder: Path

    def read(self, ids: Sequence[int]) -> np.ndarray:
        """The vectors in the order of `ids`: float32, (len(ids), dimension).

        Raises:
            InputError: one of them is missing or damaged.
        """
        sql = "SELECT chunk, vector FROM json_each(?) AS wanted CROSS JOIN vectors ON chunk = wanted.value"
        rows = self.connection.execute(sql, (json.dumps(list(ids)),)).fetchall()
        if [row[0] for row in rows] != list(ids):
            raise damaged(self.folder, "a passage has no vector")
        if any(not isinstance(blob, bytes) or len(blob) != 4 * self.dimension for _, blob in rows):
            raise damaged(self.folder, f"a vector is not {self.dimension} numbers")
        vectors = np.frombuffer(b"".join(blob for _, blob in rows), dtype="<f4").reshape(len(rows), self.dimension)
        if not np.isfinite(vectors).all():
            raise damaged(self.folder, f"a vector is not {self.dimension} numbers")
        return vectors

    def joined(
        self,
        ids: np.ndarray,
        known_ids: np.ndarray,
        known_rows: np.ndarray,
        of_vectors: Callable[[np.ndarray], np.ndarray],
    ) -> np.ndarray:
        """A cache's rows for `ids`, (len(ids), width): known ones as they are, others from their vectors.

        Args:
            of_vectors: makes (n, width) of float32 (n, dimension).

        Raises:
            InputError: a stored vector is damaged or missing.
        """
        rows = np.empty((len(ids), known_rows.shape[1]), known_rows.dtype)
        known = np.isin(ids, known_ids, assume_unique=True)
        rows[known] = known_rows[np.isin(known_ids, ids, assume_unique=True)]
        missing = np.flatnonzero(~known)
        for start in range(0, len(missing), ROWS_AT_ONCE):
            part = missing[start : start + ROWS_AT_ONCE]
            rows[part] = of_vectors(self.read(ids[part].tolist()))
        return rows


def pack(vectors: np.ndarray) -> list[bytes]:
    """Vectors as the database holds them."""
    return [vector.tobytes() for vector in np.ascontiguousarray(vectors, dtype="<f4")]
