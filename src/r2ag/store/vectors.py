"""The vectors of a store in memory: a cache, made from the database and from its former self.

Of a large store, their signs are searched: an approximate index, 48 bytes a passage where the vectors have 1,536. The
passages whose signs differ least from the question's are candidates, whose vectors are then read from the database, so
that scores are exact and only a candidate that was missed can be wrong. Nothing is trained: rows come and go as they do
in a Matrix. A file beside the database keeps the signs for the next process. It is derived and never trusted: what it
lacks is read, what is gone is dropped, and one that the database contradicts is made anew.
"""

from __future__ import annotations

import json
import sqlite3
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from r2ag.io.atomic import whole_file
from r2ag.store.base import damaged

READ_AT_ONCE = 4096
FILE = "signs.npz"
EXACT_LIMIT = 200_000  # passages up to which the vectors themselves are searched
CANDIDATES, CANDIDATES_SHARE = 2000, 500  # at least so many, and one passage in so many
ROWS_AT_ONCE = 32_768  # a block of words that stays in the processor's cache
SAVED_SHARE = 20  # the file is written again when one row in so many is not in it
COMPARED = 64


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
        for start in range(0, len(missing), READ_AT_ONCE):
            part = missing[start : start + READ_AT_ONCE]
            rows[part] = of_vectors(self.read(ids[part].tolist()))
        return rows


@dataclass(frozen=True)
class Signs:
    """Signs of one generation of a store: ids int64, rising, (n,); words uint64, (ceil(dimension / 64), n)."""

    generation: int
    ids: np.ndarray
    words: np.ndarray

    @classmethod
    def empty(cls, dimension: int) -> Signs:
        """What there is before the first generation."""
        return cls(-1, np.zeros(0, np.int64), np.zeros((-(-dimension // 64), 0), np.uint64))

    def candidates(self, query: np.ndarray, k: int, among: np.ndarray | None = None) -> np.ndarray:
        """Ids, rising, among which are most of the k whose vectors have the greatest product with `query`.

        Args:
            query: shape (dimension,).
            among: ids to choose from, int64, rising; None chooses from all.
        """
        ids = self.ids if among is None else among
        count = max(CANDIDATES, k * 20, len(ids) // CANDIDATES_SHARE)
        if len(ids) <= count:
            return ids
        differing = self._differing(signs_of(query[None])[0])
        if among is not None:
            differing = differing[np.searchsorted(self.ids, among)]
        furthest = np.partition(differing, count - 1)[count - 1]
        nearer = np.flatnonzero(differing < furthest)
        level = np.flatnonzero(differing == furthest)[: count - len(nearer)]
        chosen: np.ndarray = ids[np.sort(np.concatenate([nearer, level]))]
        return chosen

    def _differing(self, query: np.ndarray) -> np.ndarray:
        """How many signs differ from the query's, (n,)."""
        counts = np.zeros(len(self.ids), np.uint16)
        for start in range(0, len(self.ids), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            for words, word in zip(self.words, query, strict=True):
                counts[part] += np.bitwise_count(words[part] ^ word)
        return counts


def signs_of(vectors: np.ndarray) -> np.ndarray:
    """Which numbers are positive, a bit each: (n, dimension) to uint64, (n, ceil(dimension / 64))."""
    bits = np.packbits(vectors > 0, axis=1)
    return np.pad(bits, ((0, 0), (0, -bits.shape[1] % 8))).view(np.uint64)


def current_signs(
    connection: sqlite3.Connection, former: Signs | None, dimension: int, generation: int, folder: Path
) -> Signs:
    """The signs of the generation that the connection's transaction sees; only vectors that `former` lacks are read.

    Args:
        former: what this process had; None takes what the file has, and writes the file where that was too little.

    Raises:
        InputError: a stored vector is damaged.
    """
    if former is not None and former.generation == generation:
        return former
    ids, stored = stored_ids(connection), StoredVectors(connection, dimension, folder)
    known = former or _load(folder / FILE, ids, stored)
    rows = stored.joined(ids, known.ids, known.words.T, signs_of)
    signs = Signs(generation, ids, np.ascontiguousarray(rows.T))
    if len(np.setxor1d(ids, known.ids, assume_unique=True)) * SAVED_SHARE > len(ids):
        _save(folder / FILE, signs)
    return signs


def _load(file: Path, ids: np.ndarray, vectors: StoredVectors) -> Signs:
    """What the file holds, if the database agrees with some of it; its format has checksums of its own."""
    empty = Signs.empty(vectors.dimension)
    try:
        with np.load(file, allow_pickle=False) as stored:
            found = Signs(-1, stored["ids"], stored["words"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return empty
    if found.ids.ndim != 1 or found.words.shape != (len(empty.words), len(found.ids)):
        return empty
    return found if _agrees(found, ids, vectors) else empty


def _agrees(found: Signs, ids: np.ndarray, vectors: StoredVectors) -> bool:
    """Whether vectors have these signs: some from all over, and the newest, which another past would have changed."""
    common = np.flatnonzero(np.isin(found.ids, ids))
    compared = np.unique([*common[:: max(len(common) // COMPARED, 1)], *common[-COMPARED:]]).astype(int)
    return np.array_equal(signs_of(vectors.read(found.ids[compared].tolist())).T, found.words[:, compared])


def _save(file: Path, signs: Signs) -> None:
    """Replaces the file whole or not at all; where nothing can be written, the next process reads the vectors again."""
    with suppress(OSError), whole_file(file) as new, new.open("wb") as opened:
        np.savez(opened, ids=signs.ids, words=signs.words)
