"""Changes of a store in PostgreSQL, a transaction each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from pgvector import SparseVector
from psycopg.types.json import Jsonb

from r2ag.store.base import StoredFile, check_vectors
from r2ag.store.bm25 import DIMENSION, passage_weights, sparse
from r2ag.store.postgres.address import Address, plain_errors
from r2ag.store.postgres.connections import Connection
from r2ag.store.postgres.snapshot import writable
from r2ag.store.postgres.tables import Meta
from r2ag.store.writer import storable, storable_fields, storable_texts
from r2ag.types import Document


class PostgresWriter:
    """See AnyWriter; made by `PostgresStore.writing`, which holds the lock."""

    def __init__(self, connection: Connection, meta: Meta, address: Address) -> None:
        self.connection = connection
        self._dimension = meta.encoder.dimension
        self._address = address

    @contextmanager
    def batch(self) -> Iterator[None]:
        """See AnyWriter.batch."""
        with plain_errors(self._address), self.connection.transaction():
            yield
            self.connection.execute("UPDATE meta SET generation = generation + 1")

    def put(self, file: StoredFile, documents: Sequence[Document], vectors: np.ndarray) -> None:
        """See AnyWriter.put."""
        vectors = check_vectors(vectors, file.source, len(documents), self._dimension)
        self.remove(file.source)
        source, *described = _row(file)
        insert = (
            "INSERT INTO files (source, digest, size, modified, fields, passages) VALUES (%s, %s, %s, %s, %s, %s)"
            " RETURNING id"
        )
        (file_id,) = self.connection.execute(insert, (source, *described, len(documents))).fetchone()
        sequence = "SELECT nextval(pg_get_serial_sequence('chunks', 'id')) FROM generate_series(1, %s)"
        ids = sorted(row[0] for row in self.connection.execute(sequence, (len(documents),)))
        texts = [[writable(text) for text in storable_texts(document)] for document in documents]
        self._copy(
            "chunks (id, file, text, title, section, place)",
            ((id_, file_id, *row) for id_, row in zip(ids, texts, strict=True)),
        )
        self._copy("vectors (chunk, vector)", zip(ids, vectors, strict=True))
        self._copy(
            "words (chunk, stems, weights)",
            ((id_, *_words(title, text)) for id_, (text, title, *_) in zip(ids, texts, strict=True)),
        )

    def describe(self, file: StoredFile) -> None:
        """See AnyWriter.describe."""
        update = "UPDATE files SET digest = %s, size = %s, modified = %s, fields = %s WHERE source = %s"
        source, *described = _row(file)
        self.connection.execute(update, (*described, source))

    def remove(self, source: str) -> None:
        """See AnyWriter.remove."""
        self.connection.execute("DELETE FROM files WHERE source = %s", (storable(source),))

    def _copy(self, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
        with self.connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)


def _words(title: str, text: str) -> tuple[str, SparseVector]:
    """As a tsvector is written, and what BM25 multiplies."""
    weights = passage_weights(title, text)
    return " ".join(f"'{stem}'" for stem in weights), SparseVector(sparse(weights), DIMENSION)


def _row(file: StoredFile) -> tuple[Any, ...]:
    fields = {
        name: writable(value) if isinstance(value, str) else value for name, value in storable_fields(file).items()
    }
    return storable(file.source), file.digest, file.size, file.modified, Jsonb(fields)
