"""The vectors of a store in memory: a cache, made from the database and from its former self."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from r2ag.errors import InputError

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
    ids = np.fromiter((row[0] for row in connection.execute("SELECT chunk FROM vectors ORDER BY chunk")), np.int64)
    vectors = np.empty((len(ids), former.vectors.shape[1]), np.float32)
    known = np.isin(ids, former.ids, assume_unique=True)
    vectors[known] = former.vectors[np.isin(former.ids, ids, assume_unique=True)]
    missing = np.flatnonzero(~known)
    if len(missing):
        _read_rows(connection, ids, missing, vectors, folder)
    return Matrix(generation, ids, vectors)


def _read_rows(
    connection: sqlite3.Connection, ids: np.ndarray, missing: np.ndarray, vectors: np.ndarray, folder: Path
) -> None:
    """Fills the missing rows, which mostly are the last ones: reads on from the first of them."""
    wanted = np.zeros(len(ids), bool)
    wanted[missing] = True
    at = int(missing[0])
    cursor = connection.execute("SELECT vector FROM vectors WHERE chunk >= ? ORDER BY chunk", (int(ids[at]),))
    while rows := cursor.fetchmany(ROWS_AT_ONCE):
        block = unpack([row[0] for row in rows], vectors.shape[1], folder)
        part = slice(at, at + len(rows))
        vectors[part][wanted[part]] = block[wanted[part]]
        at += len(rows)


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
    raise InputError(
        f"The store {folder} is damaged (a vector is not {dimension} numbers); index the files again into a new folder."
    )
