"""A store in PostgreSQL, for many machines: a schema of a database.

store = PostgresStore.open("postgresql://ann@db.example.org/notes?schema=minutes")

A snapshot is a transaction, which sees what was there when it began; each batch of changes is one, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from pgvector import SparseVector
from psycopg.types.json import Jsonb

from r2ag.encoder.probe import Probe
from r2ag.store import base
from r2ag.store.base import AnySnapshot, AnyStore, AnyWriter, Hit, StoredFile
from r2ag.store.conditions import CHUNKS, SQL_COLUMNS, Compared, Like, Sql, Value, to_sql
from r2ag.store.postgres import tables
from r2ag.store.postgres.connections import Address, Connection, Connections, plain_errors, read_address
from r2ag.store.where import read_where, storable, storable_fields, storable_texts
from r2ag.store.words import DIMENSION, passage_weights, place, question_stems, rarity, sparse
from r2ag.types import Document

INDEXED_FROM = 50_000
"""So many passages get an index of their vectors (HNSW); with fewer, every search is exact."""
LONGEST_INDEXED_SEARCH = 500
_HAVING = (
    "SELECT stem, (SELECT count(*) FROM words WHERE stems @@ query::tsquery)"
    " FROM unnest(%s::text[], %s::text[]) AS asked (stem, query)"
)


class PostgresStore(AnyStore):
    """A schema with tables."""

    FORMAT_VERSION = tables.FORMAT_VERSION

    def __init__(self, address: Address, connections: Connections, encoder: Probe) -> None:
        super().__init__(address.name, encoder)
        self._address = address
        self._connections = connections

    @classmethod
    def open(cls, location: str | Path) -> PostgresStore:
        address = read_address(str(location))
        connections = Connections(address)
        with plain_errors(address), ExitStack() as on_error:
            on_error.callback(connections.close)
            with connections.transaction() as connection:
                if not tables.has_tables(connection, address):
                    raise base.no_store(address.name)
                encoder = tables.read_encoder(connection, address)
            on_error.pop_all()
        return cls(address, connections, encoder)

    @classmethod
    def make(cls, location: str | Path, encoder: Probe) -> None:
        address = read_address(str(location))
        with plain_errors(address), closing(Connections(address).new()) as connection:
            if not tables.has_tables(connection, address):
                tables.create_tables(connection, address, encoder)

    def close(self) -> None:
        self._connections.close()

    @contextmanager
    def snapshot(self) -> Iterator[PostgresSnapshot]:
        with plain_errors(self._address), self._connections.transaction() as connection:
            yield PostgresSnapshot(connection, tables.read_encoder(connection, self._address))

    @contextmanager
    def writing(self) -> Iterator[PostgresWriter]:
        with plain_errors(self._address), closing(self._connections.new()) as connection:
            self._lock(connection)
            yield PostgresWriter(connection, tables.read_encoder(connection, self._address), self._address)
            if self.encoder.dimension <= tables.PAGE_DIMENSION:
                _index_vectors(connection)

    def bytes_on_disk(self) -> int:
        sizes = "SELECT sum(pg_total_relation_size(name::regclass)) FROM unnest(%s::text[]) AS name"
        with plain_errors(self._address), self._connections.transaction() as connection:
            return int(connection.execute(sizes, (list(tables.TABLES),)).fetchone()[0])

    def check(self) -> None:
        with plain_errors(self._address), self._connections.transaction() as connection:
            tables.read_encoder(connection, self._address)
            tables.check_tables(connection, self._address)

    def _lock(self, connection: Connection) -> None:
        """The server's lock: it ends with the connection, however that ends."""
        key = f"r2ag {self._address.schema}"
        lock = connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (key,))
        if not lock.fetchone()[0]:
            raise base.being_written(self.name)


class PostgresSnapshot(AnySnapshot):
    """Made by `PostgresStore.snapshot`."""

    def __init__(self, connection: Connection, encoder: Probe) -> None:
        self.encoder = encoder
        self._connection = connection

    def __len__(self) -> int:
        return int(self._connection.execute("SELECT count(*) FROM chunks").fetchone()[0])

    def files(self) -> dict[str, StoredFile]:
        rows = self._connection.execute("SELECT source, digest, size, modified, fields FROM files ORDER BY source")
        return {row[0]: StoredFile(*row) for row in rows}

    def nearest(self, vector: np.ndarray, k: int, where: str | None = None) -> list[Hit]:
        """Exact while there is no index of vectors; see AnySnapshot.nearest."""
        searched, condition = "vectors", Sql("true", ())
        if where is not None:
            searched = f"{CHUNKS} JOIN vectors ON vectors.chunk = chunks.id"
            condition = to_sql(read_where(where), "%s", _comparison)
        self._search_index(k)
        query = np.asarray(vector, np.float32)
        # An index is of no use to an order by a second column.
        sql = f"SELECT chunk, -(vector <#> %s) FROM {searched} WHERE {condition.sql} ORDER BY vector <#> %s LIMIT %s"
        hits = [Hit(*row) for row in self._connection.execute(sql, (query, *condition.parameters, query, k))]
        return sorted(hits, key=lambda hit: (-hit.score, hit.id))

    def matching(self, question: str, k: int, where: str | None = None) -> list[Hit]:
        condition = None if where is None else to_sql(read_where(where), "%s", _comparison)
        stems = question_stems(question)
        if not stems:
            return []
        count = len(self)
        having = self._connection.execute(_HAVING, (stems, [f"'{stem}'" for stem in stems])).fetchall()
        weights = {place(stem): rarity(count, files) for stem, files in having if files}
        sql = "SELECT chunk, -(weights <#> %s) AS score FROM words WHERE stems @@ %s::tsquery"
        parameters = [SparseVector(weights, DIMENSION), " | ".join(f"'{stem}'" for stem in stems)]
        if condition is not None:
            sql += f" AND chunk IN (SELECT chunks.id FROM {CHUNKS} WHERE {condition.sql})"
            parameters += condition.parameters
        rows = self._connection.execute(f"{sql} ORDER BY score DESC, chunk LIMIT %s", [*parameters, k])
        return [Hit(*row) for row in rows]

    def ids(self, source: str | None = None) -> list[int]:
        condition = "true" if source is None else "files.source = %s"
        sql = f"SELECT chunks.id FROM {CHUNKS} WHERE {condition} ORDER BY chunks.id"
        return [row[0] for row in self._connection.execute(sql, () if source is None else (source,))]

    def documents(self, ids: Sequence[int]) -> tuple[Document, ...]:
        sql = f"SELECT chunks.id, text, title, source, section, place FROM {CHUNKS} WHERE chunks.id = ANY(%s)"
        found = {
            id_: Document(text, title, source, section=section, place=place)
            for id_, text, title, source, section, place in self._connection.execute(sql, (list(ids),))
        }
        return tuple(found[id_] for id_ in ids)

    def vectors(self, ids: Sequence[int]) -> np.ndarray:
        sql = "SELECT chunk, vector FROM vectors WHERE chunk = ANY(%s)"
        found = {id_: vector.to_numpy() for id_, vector in self._connection.execute(sql, (list(ids),), binary=True)}
        vectors = np.zeros((len(ids), self.encoder.dimension), np.float32)
        for row, id_ in zip(vectors, ids, strict=True):
            row[:] = found[id_]
        return vectors

    def _search_index(self, k: int) -> None:
        """An index, where there is one, looks at so many candidates; more of them where a condition leaves too few."""
        uses_index = k <= LONGEST_INDEXED_SEARCH
        self._connection.execute(
            "SELECT set_config('enable_indexscan', %s, true), set_config('hnsw.ef_search', %s, true),"
            " set_config('hnsw.iterative_scan', 'strict_order', true)",
            ("on" if uses_index else "off", str(max(2 * k, 100) if uses_index else 100)),
        )


class PostgresWriter(AnyWriter):
    """Made by `PostgresStore.writing`, which holds the lock."""

    def __init__(self, connection: Connection, encoder: Probe, address: Address) -> None:
        self._connection = connection
        self._dimension = encoder.dimension
        self._address = address

    @contextmanager
    def batch(self) -> Iterator[None]:
        with plain_errors(self._address), self._connection.transaction():
            yield

    def put(self, file: StoredFile, documents: Sequence[Document], vectors: np.ndarray) -> None:
        vectors = base.check_vectors(vectors, file.source, len(documents), self._dimension)
        self.remove(file.source)
        source, *described = _row(file)
        insert = (
            "INSERT INTO files (source, digest, size, modified, fields, passages) VALUES (%s, %s, %s, %s, %s, %s)"
            " RETURNING id"
        )
        (file_id,) = self._connection.execute(insert, (source, *described, len(documents))).fetchone()
        sequence = "SELECT nextval(pg_get_serial_sequence('chunks', 'id')) FROM generate_series(1, %s)"
        ids = sorted(row[0] for row in self._connection.execute(sequence, (len(documents),)))
        texts = [[_writable(text) for text in storable_texts(document)] for document in documents]
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
        update = "UPDATE files SET digest = %s, size = %s, modified = %s, fields = %s WHERE source = %s"
        source, *described = _row(file)
        self._connection.execute(update, (*described, source))

    def remove(self, source: str) -> None:
        self._connection.execute("DELETE FROM files WHERE source = %s", (storable(source),))

    def _copy(self, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
        with self._connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)


def _index_vectors(connection: Connection) -> None:
    """Readers go on meanwhile; once made, PostgreSQL keeps the index up to date."""
    (is_there,) = connection.execute("SELECT to_regclass('vectors_nearest') IS NOT NULL").fetchone()
    if not is_there and connection.execute("SELECT count(*) FROM chunks").fetchone()[0] >= INDEXED_FROM:
        connection.execute("CREATE INDEX vectors_nearest ON vectors USING hnsw (vector vector_ip_ops)")


def _comparison(leaf: Compared | Like) -> Sql:
    """A comparison on `chunks` and `files`."""
    name = () if leaf.field in SQL_COLUMNS else (leaf.field,)
    column = SQL_COLUMNS.get(leaf.field, '(files.fields ->> %s) COLLATE "C"')
    values: tuple[Value, ...]
    match leaf:
        case Like(_, pattern):
            sql, values = f"lower({column}) LIKE lower(%s COLLATE \"C\") ESCAPE ''", (*name, _writable(pattern))
        case Compared(_, sign, str() as text):
            sql, values = f"{column} {sign} %s", (*name, _writable(text))
        case Compared(_, sign, number):
            is_number = "jsonb_typeof(files.fields -> %s) = 'number'"
            sql = f"CASE WHEN {is_number} THEN (files.fields ->> %s)::numeric {sign} %s END"
            values = (*name, *name, number)
    return Sql(sql, values)


def _writable(text: str) -> str:
    """PostgreSQL's texts have no character 0."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _words(title: str, text: str) -> tuple[str, SparseVector]:
    """As a tsvector is written, and what BM25 multiplies."""
    weights = passage_weights(title, text)
    return " ".join(f"'{stem}'" for stem in weights), SparseVector(sparse(weights), DIMENSION)


def _row(file: StoredFile) -> tuple[Any, ...]:
    fields = {
        name: _writable(value) if isinstance(value, str) else value for name, value in storable_fields(file).items()
    }
    return storable(file.source), file.digest, file.size, file.modified, Jsonb(fields)
