"""One state of a store in PostgreSQL, searched: a transaction, which sees what was there when it began."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pgvector import SparseVector

from r2ag.store.base import Hit, StoredFile
from r2ag.store.bm25 import DIMENSION, place, question_stems, rarity
from r2ag.store.conditions import Compared, Leaf, Like, Modified, Sql, Value, modified_sql, to_sql
from r2ag.store.postgres.connections import Connection
from r2ag.store.postgres.tables import Meta
from r2ag.store.where import read_where
from r2ag.types import Document

LONGEST_INDEXED_SEARCH = 500
_CHUNKS = "chunks JOIN files ON files.id = chunks.file"
_COLUMNS = {"source": "files.source", "title": "chunks.title", "section": "chunks.section"}
_HAVING = (
    "SELECT stem, (SELECT count(*) FROM words WHERE stems @@ query::tsquery)"
    " FROM unnest(%s::text[], %s::text[]) AS asked (stem, query)"
)


class PostgresSnapshot:
    """See AnySnapshot; made by `PostgresStore.snapshot`."""

    def __init__(self, connection: Connection, meta: Meta) -> None:
        self.meta = meta
        self._connection = connection

    def __len__(self) -> int:
        return int(self._connection.execute("SELECT count(*) FROM chunks").fetchone()[0])

    def files(self) -> dict[str, StoredFile]:
        """See AnySnapshot.files."""
        rows = self._connection.execute("SELECT source, digest, size, modified, fields FROM files ORDER BY source")
        return {row[0]: StoredFile(*row) for row in rows}

    def nearest(self, vector: np.ndarray, k: int, where: str | None = None) -> list[Hit]:
        """See AnySnapshot.nearest; exact while there is no index of vectors."""
        tables, condition = "vectors", Sql("true", ())
        if where is not None:
            tables = f"{_CHUNKS} JOIN vectors ON vectors.chunk = chunks.id"
            condition = to_sql(read_where(where), _leaf)
        self._search_index(k)
        query = np.asarray(vector, np.float32)
        # An index is of no use to an order by a second column.
        sql = f"SELECT chunk, -(vector <#> %s) FROM {tables} WHERE {condition.sql} ORDER BY vector <#> %s LIMIT %s"
        hits = [Hit(*row) for row in self._connection.execute(sql, (query, *condition.parameters, query, k))]
        return sorted(hits, key=lambda hit: (-hit.score, hit.id))

    def matching(self, question: str, k: int, where: str | None = None) -> list[Hit]:
        """See AnySnapshot.matching."""
        condition = None if where is None else to_sql(read_where(where), _leaf)
        stems = question_stems(question)
        if not stems:
            return []
        count = len(self)
        having = self._connection.execute(_HAVING, (stems, [f"'{stem}'" for stem in stems])).fetchall()
        weights = {place(stem): rarity(count, files) for stem, files in having if files}
        sql = "SELECT chunk, -(weights <#> %s) AS score FROM words WHERE stems @@ %s::tsquery"
        parameters = [SparseVector(weights, DIMENSION), " | ".join(f"'{stem}'" for stem in stems)]
        if condition is not None:
            sql += f" AND chunk IN (SELECT chunks.id FROM {_CHUNKS} WHERE {condition.sql})"
            parameters += condition.parameters
        rows = self._connection.execute(f"{sql} ORDER BY score DESC, chunk LIMIT %s", [*parameters, k])
        return [Hit(*row) for row in rows]

    def ids(self, source: str | None = None) -> list[int]:
        """See AnySnapshot.ids."""
        condition = "true" if source is None else "files.source = %s"
        sql = f"SELECT chunks.id FROM {_CHUNKS} WHERE {condition} ORDER BY chunks.id"
        return [row[0] for row in self._connection.execute(sql, () if source is None else (source,))]

    def documents(self, ids: Sequence[int]) -> tuple[Document, ...]:
        """See AnySnapshot.documents."""
        sql = f"SELECT chunks.id, text, title, source, section, place FROM {_CHUNKS} WHERE chunks.id = ANY(%s)"
        found = {
            id_: Document(text, title, source, section=section, place=place)
            for id_, text, title, source, section, place in self._connection.execute(sql, (list(ids),))
        }
        return tuple(found[id_] for id_ in ids)

    def vectors(self, ids: Sequence[int]) -> np.ndarray:
        """See AnySnapshot.vectors."""
        sql = "SELECT chunk, vector FROM vectors WHERE chunk = ANY(%s)"
        found = {id_: vector.to_numpy() for id_, vector in self._connection.execute(sql, (list(ids),), binary=True)}
        vectors = np.zeros((len(ids), self.meta.encoder.dimension), np.float32)
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


def _leaf(leaf: Leaf) -> Sql:
    """A comparison on `chunks` and `files`."""
    if isinstance(leaf, Modified):
        return modified_sql(leaf, "files.modified", "%s")
    name = () if leaf.field in _COLUMNS else (leaf.field,)
    column = _COLUMNS.get(leaf.field, '(files.fields ->> %s) COLLATE "C"')
    values: tuple[Value, ...]
    match leaf:
        case Like(_, pattern):
            sql, values = f"lower({column}) LIKE lower(%s COLLATE \"C\") ESCAPE ''", (*name, writable(pattern))
        case Compared(_, sign, str() as text):
            sql, values = f"{column} {sign} %s", (*name, writable(text))
        case Compared(_, sign, number):
            is_number = "jsonb_typeof(files.fields -> %s) = 'number'"
            sql = f"CASE WHEN {is_number} THEN (files.fields ->> %s)::numeric {sign} %s END"
            values = (*name, *name, number)
    return Sql(f"coalesce({sql}, false)", values)


def writable(text: str) -> str:
    """PostgreSQL's texts have no character 0."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
