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
    dimension = former.vectors.shape[1]
    missing = MissingRows(connection, dimension, folder)
    return Matrix(generation, ids, missing.joined(ids, former.ids, former.vectors, lambda vectors: vectors))


def stored_ids(connection: sqlite3.Connection) -> np.ndarray:
    """Of all passages, int64, rising."""
    # Unordered, so that SQLite reads its index of files, which is a hundredth of the texts or vectors.
    return np.sort(np.fromiter((row[0] for row in connection.execute("SELECT id FROM chunks")), np.int64))


@dataclass(frozen=True)
class MissingRows:
    """Reads from the database what a cache of its vectors lacks."""

    connection: sqlite3.Connection
    dimension: int
    folder: Path

    def joined(
        self,
        ids: np.ndarray,
        known_ids: np.ndarray,
        known_rows: np.ndarray,
        of_vectors: Callable[[np.ndarray], np.ndarray],
    ) -> np.ndarray:
        """The cache's rows for `ids`, (len(ids), width): known ones as they are, others from their vectors.

        Args:
            of_vectors: makes (n, width) of float32 (n, dimension).

        Raises:
            InputError: a stored vector is damaged or missing.
        """
        rows = np.empty((len(ids), known_rows.shape[1]), known_rows.dtype)
        known = np.isin(ids, known_ids, assume_unique=True)
        rows[known] = known_rows[np.isin(known_ids, ids, assume_unique=True)]
        missing = np.flatnonzero(~known)
        if len(missing):
            self._read(ids, int(missing[0]), ~known, rows, of_vectors)
        return rows

    def _read(
        self,
        ids: np.ndarray,
        at: int,
        wanted: np.ndarray,
        rows: np.ndarray,
        of_vectors: Callable[[np.ndarray], np.ndarray],
    ) -> None:
        """Fills the wanted rows, which mostly are the last ones: reads on from the first of them, `at`."""
        sql = "SELECT chunk, vector FROM vectors WHERE chunk >= ? ORDER BY chunk"
        cursor = self.connection.execute(sql, (int(ids[at]),))
        while read := cursor.fetchmany(ROWS_AT_ONCE):
            part = slice(at, at + len(read))
            if [row[0] for row in read] != ids[part].tolist():
                break
            vectors = unpack([row[1] for row in read], self.dimension, self.folder)
            rows[part][wanted[part]] = of_vectors(vectors[wanted[part]])
            at += len(read)
        if at < len(ids):
            raise damaged(self.folder, "a passage has no vector")


def read_vectors(connection: sqlite3.Connection, ids: Sequence[int], dimension: int, folder: Path) -> np.ndarray:
    """Stored vectors in the order of `ids`: float32, (len(ids), dimension).

    Raises:
        InputError: one of them is damaged.
    """
    sql = "SELECT vector FROM json_each(?) AS wanted JOIN vectors ON chunk = wanted.value ORDER BY wanted.key"
    blobs = [row[0] for row in connection.execute(sql, (json.dumps(list(ids)),))]
    return unpack(blobs, dimension, folder)


def pack(vectors: np.ndarray) -> list[bytes]:
    """Vectors as the database holds them."""
    return [vector.tobytes() for vector in np.ascontiguousarray(vectors, dtype="<f4")]


def unpack(blobs: list[bytes], dimension: int, folder: Path) -> np.ndarray:
    """float32, shape (len(blobs), dimension).

    Raises:
        InputError: one of them is no vector of that length, or holds what is no number.
    """
    if all(isinstance(blob, bytes) and len(blob) == 4 * dimension for blob in blobs):
        vectors = np.frombuffer(b"".join(blobs), dtype="<f4").reshape(len(blobs), dimension)
        if np.isfinite(vectors).all():
            return vectors
    raise damaged(folder, f"a vector is not {dimension} numbers")
