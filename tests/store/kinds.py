"""The kinds of stores that the same tests are run with. Where a kind's packages are missing, its tests are skipped.

PostgreSQL is a real server. Of Qdrant's server no package index has one: its client's own in-process engine stands in.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import uuid4

import pytest

from tests.store.postgres_server import PostgresServer, running_postgres

KINDS = ("embedded", "postgres", "qdrant")
TRANSACTIONAL_KINDS, REMOTE_KINDS = KINDS[:2], KINDS[1:]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


class OneAtATime:
    """A client whose engine is for one thread, as a server's is not, and outlives it, as a server does."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._turn = Lock()

    def close(self) -> None:
        """Leaves the engine to others."""

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*arguments: Any, **options: Any) -> Any:
            with self._turn:
                return method(*arguments, **options)

        return call


@pytest.fixture(scope="session")
def qdrant() -> Iterator[Any]:
    """The engine that all addresses of Qdrant's mean."""
    client = pytest.importorskip("qdrant_client", reason="needs qdrant-client: pip install 'r2ag[qdrant]'")
    engine = OneAtATime(client.QdrantClient(":memory:"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("r2ag.store.qdrant.QdrantClient", lambda **options: engine)
        yield engine


def new_location(kind: str, request: pytest.FixtureRequest) -> str:
    """The name of a store that is not there yet."""
    name = f"s{uuid4().hex}"
    match kind:
        case "postgres":
            server: PostgresServer = request.getfixturevalue("postgres")
            return server.url(name)
        case "qdrant":
            request.getfixturevalue("qdrant")
            return f"qdrant+http://in-process/{name}"
    folder: Path = request.getfixturevalue("tmp_path_factory").mktemp("stores")
    return str(folder / name)
