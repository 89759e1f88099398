"""Where a store in PostgreSQL is, the connections to it, and what is said when it can't be used."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import Empty, Full, LifoQueue
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import psycopg
from pgvector.psycopg import register_vector
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from r2ag.errors import InputError
from r2ag.store.base import closed

SCHEMA = "r2ag"
_SCHEMA_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_NO_ADDRESS = (
    "--store is no address of a PostgreSQL database; write it as in postgresql://ann@db.example.org:5432/notes, with "
    "% codes for special characters, and the password in PGPASSWORD or ~/.pgpass."
)
KEPT = 8
_PATIENCE = {"connect_timeout": "10", "tcp_user_timeout": "30000", "keepalives_idle": "30"}  # s, ms, s
_EXTENSION = "SELECT nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'vector'"

Connection = Any  # psycopg.Connection, which is unknown where psycopg is not installed


@dataclass(frozen=True)
class Address:
    """A schema of a database.

    name: without the password, for people. options: what libpq is given.
    """

    name: str
    schema: str
    options: dict[str, str] = field(repr=False)


def read_address(location: str) -> Address:
    """Reads postgresql://USER@HOST:PORT/DATABASE?schema=NAME; the schema is "r2ag" where none is named.

    Raises:
        InputError: it is no such address; it is not repeated, for it may hold a password.
    """
    try:
        parts = urlsplit(location)
        query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        others = [(key, value) for key, value in query if key != "schema"]
        url = urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(others), ""))
        if not url.startswith(f"{parts.scheme}://"):  # urlunsplit leaves the slashes out where no host is named
            url = url.replace(":", "://", 1)
        options = {key: str(value) for key, value in conninfo_to_dict(url).items()}
    except (ValueError, psycopg.Error):
        raise InputError(_NO_ADDRESS) from None
    if parts.fragment or not options.get("port", "0").replace(",", "").isdecimal():
        raise InputError(_NO_ADDRESS)
    schema = dict(query).get("schema", SCHEMA)
    if not _SCHEMA_NAME.fullmatch(schema) or schema.startswith("pg_") or schema in ("public", "information_schema"):
        raise InputError(
            "The schema of --store must be a small name of its own, of letters a to z, digits and _, as in "
            "postgresql://db.example.org/notes?schema=minutes"
        )
    return Address(_name(options, schema), schema, options)


@contextmanager
def plain_errors(address: Address) -> Iterator[None]:
    """Turns what PostgreSQL complains of into a sentence about the store."""
    try:
        yield
    except psycopg.Error as error:
        raise InputError(_sentence(address, error)) from error


def _name(options: dict[str, str], schema: str) -> str:
    user, host, port = (options.get(key, "") for key in ("user", "host", "port"))
    is_socket = host.startswith("/")
    server = f"{user}@" * bool(user) + host * (not is_socket) + f":{port}" * bool(port)
    query = {"host": host} if is_socket else {}
    query |= {"schema": schema} if schema != SCHEMA else {}
    return f"postgresql://{server}/{options.get('dbname', '')}" + f"?{urlencode(query, safe='/')}" * bool(query)


def _sentence(address: Address, error: psycopg.Error) -> str:
    said = _said(address, error)
    match error.sqlstate or "":
        case "53100":
            return f"The disk of the PostgreSQL server that holds the store {address.name} is full; make room there."
        case "42501" | "25006":
            return f"The store {address.name} can't be written or read by this user ({said}); ask for that right."
        case "XX001" | "XX002":
            return f"The store {address.name} is damaged ({said}); restore a backup, or index the files again."
        case "" | "57P01" | "57P02" | "57P03" | "08006" | "08003" | "08001":
            return _unreachable(address, said)
        case "28P01" | "28000":
            return _refused(address)
    return f"The store {address.name} is not one that this r2ag can use ({said}); name another schema or database."


def _unreachable(address: Address, said: str) -> str:
    """Before a connection stands, libpq's words are all there is."""
    if "password" in said:
        return _refused(address)
    if "does not exist" in said:
        return f"The server of {address.name} says: {said}; make the database, or correct the address."
    return (
        f"The PostgreSQL server of {address.name} can't be reached ({said}); check the address and that it runs, then "
        "give the same command again: what was done is kept."
    )


def _refused(address: Address) -> str:
    return (
        f"The PostgreSQL server of {address.name} refuses this user or password; set PGUSER and PGPASSWORD, or write "
        "them to ~/.pgpass."
    )


def _said(address: Address, error: psycopg.Error) -> str:
    """The first line of an error, without any password."""
    line = next(iter(str(error).strip().splitlines()), type(error).__name__)
    for secret in (address.options.get("password"), os.environ.get("PGPASSWORD")):
        line = line.replace(secret, "…") if secret else line
    return " ".join(line.split())[:300].removesuffix(".")


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
