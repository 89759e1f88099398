"""Connections to a database: made, kept for later, and given up when they are dead."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import Empty, Full, LifoQueue
from typing import Any

import psycopg
from pgvector.psycopg import register_vector
from psycopg import sql

from r2ag.store.base import closed
from r2ag.store.postgres.address import Address

KEPT = 8
_PATIENCE = {"connect_timeout": "10", "tcp_user_timeout": "30000", "keepalives_idle": "30"}  # s, ms, s
_EXTENSION = "SELECT nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'vector'"

Connection = Any  # psycopg.Connection, which is unknown where psycopg is not installed


class Connections:
    """Of one store, for all threads."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._idle: LifoQueue[Connection] = LifoQueue(KEPT)
        self._is_closed = False

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection that sees one state of the database, and only reads."""
        connection = self._begun()
        try:
            yield connection
        finally:
            self._put_back(connection)

    def close(self) -> None:
        """Closes all connections that nobody uses; the others are closed after their transactions."""
        self._is_closed = True
        with suppress(Empty):
            while True:
                self._idle.get_nowait().close()

    def new(self) -> Connection:
        """A connection of one's own, which commits by itself.

        Raises:
            InputError: the store is closed.
        """
        if self._is_closed:
            raise closed(self._address.name)
        options = _PATIENCE | {"application_name": "r2ag"} | self._address.options
        connection = psycopg.connect(**options, autocommit=True)
        try:
            prepare(connection, self._address.schema)
        except BaseException:
            connection.close()
            raise
        return connection

    def _begun(self) -> Connection:
        """One that was kept may have died meanwhile; a new one may not."""
        while True:
            try:
                connection = self._idle.get_nowait()
            except Empty:
                connection = self.new()
                _begin(connection)
                return connection
            try:
                _begin(connection)
            except psycopg.OperationalError:
                connection.close()
            else:
                return connection

    def _put_back(self, connection: Connection) -> None:
        with suppress(psycopg.Error):
            connection.execute("ROLLBACK")
        if not connection.closed:
            with suppress(Full):
                self._idle.put_nowait(connection)
                if self._is_closed:  # meanwhile
                    self.close()
                return
        connection.close()


def prepare(connection: Connection, schema: str) -> None:
    """Lets the connection find the store's tables and pgvector's types, where the extension is there."""
    extension = connection.execute(_EXTENSION).fetchone()
    path = [schema, *(extension or ())]
    connection.execute(sql.SQL("SET search_path TO {}").format(sql.SQL(", ").join(map(sql.Identifier, path))))
    if extension is not None:
        register_vector(connection)


def _begin(connection: Connection) -> None:
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
