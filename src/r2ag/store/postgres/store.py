"""A store in PostgreSQL: a schema of a database, for many machines.

store = PostgresStore.open("postgresql://ann@db.example.org/notes?schema=minutes")
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from r2ag.encoder.encoder import TextEncoder
from r2ag.encoder.probe import Probe
from r2ag.errors import InputError
from r2ag.store.base import StoreInfo, check_encoder, no_store
from r2ag.store.postgres.address import Address, plain_errors, read_address
from r2ag.store.postgres.connections import Connection, Connections
from r2ag.store.postgres.snapshot import PostgresSnapshot
from r2ag.store.postgres.tables import (
    FORMAT_VERSION,
    PAGE_DIMENSION,
    TABLES,
    check_tables,
    create_tables,
    has_tables,
    read_meta,
)
from r2ag.store.postgres.writer import PostgresWriter

INDEXED_FROM = 50_000
"""So many passages get an index of their vectors (HNSW); with fewer, every search is exact."""


class PostgresStore:
    """See AnyStore."""

    def __init__(self, address: Address, connections: Connections, encoder: Probe) -> None:
        self.name = address.name
        self.encoder = encoder
        self._address = address
        self._connections = connections

    @classmethod
    def open(cls, location: str) -> PostgresStore:
        """A store that is there.

        Raises:
            InputError: it is not, can't be reached, or was made by a newer r2ag.
        """
        address = read_address(location)
        connections = Connections(address)
        with plain_errors(address), connections.transaction() as connection:
            if not has_tables(connection, address):
                raise no_store(address.name)
            return cls(address, connections, read_meta(connection, address).encoder)

    @classmethod
    def create(cls, location: str, encoder: TextEncoder | Probe) -> PostgresStore:
        """A store for vectors of this encoder: the one that is there, else a new, empty one.

        Raises:
            InputError: it can't be made, the schema holds other tables, or the store vectors of another encoder.
        """
        address = read_address(location)
        connections = Connections(address)
        with plain_errors(address), closing(connections.new()) as connection:
            if not has_tables(connection, address):
                create_tables(connection, address, Probe.of(encoder))
            store = cls(address, connections, read_meta(connection, address).encoder)
        store.check_encoder(encoder)
        return store

    def check_encoder(self, encoder: TextEncoder | Probe) -> None:
        """See AnyStore.check_encoder."""
        check_encoder(self, encoder)

    @contextmanager
    def snapshot(self) -> Iterator[PostgresSnapshot]:
        """See AnyStore.snapshot."""
        with plain_errors(self._address), self._connections.transaction() as connection:
            yield PostgresSnapshot(connection, read_meta(connection, self._address))

    @contextmanager
    def writing(self) -> Iterator[PostgresWriter]:
        """See AnyStore.writing."""
        with plain_errors(self._address), closing(self._connections.new()) as connection:
            self._lock(connection)
            yield PostgresWriter(connection, read_meta(connection, self._address), self._address)
            if self.encoder.dimension <= PAGE_DIMENSION:
                _index_vectors(connection)

    def info(self) -> StoreInfo:
        """See AnyStore.info."""
        with plain_errors(self._address), self._connections.transaction() as connection:
            meta = read_meta(connection, self._address)
            (size,) = connection.execute(
                "SELECT sum(pg_total_relation_size(name::regclass)) FROM unnest(%s::text[]) AS name", (list(TABLES),)
            ).fetchone()
            fields = connection.execute(
                "SELECT key, count(*) FROM files, jsonb_object_keys(fields) AS key GROUP BY key ORDER BY key"
            ).fetchall()
            return StoreInfo(
                name=self.name,
                format_version=FORMAT_VERSION,
                generation=meta.generation,
                encoder=self.encoder.name,
                dimension=self.encoder.dimension,
                files=connection.execute("SELECT count(*) FROM files").fetchone()[0],
                documents=len(PostgresSnapshot(connection, meta)),
                bytes_on_disk=int(size),
                fields=dict(fields),
            )

    def check(self) -> None:
        """See AnyStore.check."""
        with plain_errors(self._address), self._connections.transaction() as connection:
            read_meta(connection, self._address)
            check_tables(connection, self._address)

    def compact(self) -> None:
        """See AnyStore.compact."""
        raise InputError(
            f"PostgreSQL uses the room that removed files took in {self.name} again by itself (autovacuum), so there "
            "is nothing to compact; VACUUM FULL would give it back to the disk."
        )

    def _lock(self, connection: Connection) -> None:
        """The server's: it ends with the connection, however that ends."""
        key = f"r2ag {self._address.schema}"
        lock = connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (key,))
        if not lock.fetchone()[0]:
            raise InputError(
                f"Another process is writing the store {self.name}; wait until it is done, then give the same command "
                "again."
            )


def _index_vectors(connection: Connection) -> None:
    """Readers go on meanwhile; once made, PostgreSQL keeps the index up to date."""
    (is_there,) = connection.execute("SELECT to_regclass('vectors_nearest') IS NOT NULL").fetchone()
    if not is_there and connection.execute("SELECT count(*) FROM chunks").fetchone()[0] >= INDEXED_FROM:
        connection.execute("CREATE INDEX vectors_nearest ON vectors USING hnsw (vector vector_ip_ops)")
