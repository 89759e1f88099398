"""Which kind of store a name means."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from r2ag.encoder.encoder import TextEncoder
from r2ag.encoder.probe import Probe
from r2ag.errors import InputError
from r2ag.store.base import AnyStore
from r2ag.store.store import Store


def open_store(location: str | Path) -> AnyStore:
    """The store that is there.

    Args:
        location: a folder, postgresql://HOST/DATABASE or qdrant+http://HOST:6333/COLLECTION; docs/stores.md has more.

    Raises:
        InputError: it is not there, can't be reached or used, or its client's package is missing.
    """
    return _kind(str(location)).open(location)


def create_store(location: str | Path, encoder: TextEncoder | Probe) -> AnyStore:
    """A store for vectors of this encoder: the one that is there, else a new, empty one. See open_store.

    Raises:
        InputError: it can't be made, or holds other things, or vectors of another encoder.
    """
    return _kind(str(location)).create(location, encoder)


def _kind(location: str) -> type[AnyStore]:
    scheme, mark, _ = location.partition("://")
    if not mark:
        return Store
    match scheme:
        case "postgresql" | "postgres":
            _need("postgres", "PostgreSQL", ("pgvector", "psycopg", "snowballstemmer"))
            from r2ag.store.postgres.store import PostgresStore

            return PostgresStore
        case "qdrant+http" | "qdrant+https":
            _need("qdrant", "Qdrant", ("qdrant_client", "snowballstemmer"))
            from r2ag.store.qdrant import QdrantStore

            return QdrantStore
    raise InputError(
        f"--store names a folder, postgresql://HOST/DATABASE or qdrant+http://HOST:6333/COLLECTION, and not "
        f"an address that begins with {scheme[:40]}://."
    )


def _need(extra: str, what: str, packages: Sequence[str]) -> None:
    missing = [package.replace("_", "-") for package in packages if find_spec(package) is None]
    if missing:
        raise InputError(f"A store in {what} needs {' and '.join(missing)}; install with: pip install 'r2ag[{extra}]'")
