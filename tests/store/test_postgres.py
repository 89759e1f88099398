"""PostgreSQL alone: addresses, passwords, servers that are down, and what may be wrong with a database."""

from __future__ import annotations

from contextlib import ExitStack
from threading import Thread
from typing import Any

import numpy as np
import pytest

from r2ag.errors import InputError
from r2ag.store import StoredFile, create_store, open_store
from r2ag.types import Document
from tests.hashing import HashingEncoder
from tests.store.conftest import put
from tests.store.postgres_server import PASSWORD, running_postgres

pytest.importorskip("psycopg", reason="needs psycopg: pip install 'r2ag[postgres]'")


def test_addresses():
    from r2ag.store.postgres.connections import read_address

    address = read_address("postgresql://ann:s3cret@db.example.org:5433/notes?schema=minutes&sslmode=require")
    assert address.name == "postgresql://ann@db.example.org:5433/notes?schema=minutes"
    assert (address.schema, address.options["password"], address.options["sslmode"]) == ("minutes", "s3cret", "require")
    assert "s3cret" not in repr(address)
    assert read_address("postgres://db/notes").name == "postgresql://db/notes"
    socket = read_address("postgresql:///notes?host=/run/postgresql&user=ann")
    assert socket.options == {"dbname": "notes", "host": "/run/postgresql", "user": "ann"}
    assert read_address(socket.name).options["host"] == "/run/postgresql"


@pytest.mark.parametrize(
    "location",
    [
        "postgresql://ann:s3cret@db:port/notes",
        "postgresql://ann:s3cret@[db/notes",
        "postgresql://ann:s3cret@db/notes?schema",
        "postgresql://ann:s3cret@db/notes?nonsense=1",
        "postgresql://ann:s3cret@db/notes?schema=Minutes",
        "postgresql://ann:s3cret@db/notes?schema=public",
        "postgresql://ann:s3cret@db/notes?schema=x;drop",
        "postgresql://ann:s3cret@db/notes#minutes",
    ],
)
def test_malformed_addresses_are_refused_without_being_repeated(location):
    with pytest.raises(InputError, match=r"write it as in postgresql://ann@|must be a small name") as refused:
        open_store(location)
    assert "s3cret" not in str(refused.value)


def test_a_server_that_is_not_there():
    with pytest.raises(InputError, match=r"server of postgresql://ann@127\.0\.0\.1:1/notes can't be reached \(.*"
                       r"; check the address") as refused:  # fmt: skip
        open_store("postgresql://ann:s3cret@127.0.0.1:1/notes")
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("password", ["wrong-s3cret", None])
def test_a_wrong_password_is_not_shown(postgres, password, monkeypatch):
    monkeypatch.delenv("PGPASSWORD", raising=False)
    monkeypatch.setenv("PGPASSFILE", "/nowhere")
    with pytest.raises(InputError, match="refuses this user or password; set PGUSER and PGPASSWORD") as refused:
        open_store(postgres.url("notes", password=password))
    assert "s3cret" not in str(refused.value)


def test_the_password_may_stand_in_the_environment(postgres, encoder, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    store = create_store(postgres.url("from_environment", password=None), encoder)
    put(store, encoder, "a", "One.")
    assert open_store(store.name).info().files == 1  # what is shown is enough to find it again


def test_no_such_database(postgres):
    with pytest.raises(InputError, match=r'database "nowhere" does not exist; make the database'):
        open_store(postgres.url("notes", database="nowhere"))


def test_a_server_without_the_extension(encoder):
    with running_postgres(hide_extension=True) as server:
        with pytest.raises(InputError, match="lacks the extension pgvector, and this user can't add it; install it"):
            create_store(server.url("notes"), encoder)
        assert server.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'notes'") == [(0,)]


def test_a_user_who_may_only_read(postgres, encoder):
    store = create_store(postgres.url("readable"), encoder)
    put(store, encoder, "a", "A river runs.")
    postgres.sql(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'")
    for statement in (
        "GRANT USAGE ON SCHEMA readable TO reader",
        "GRANT SELECT ON ALL TABLES IN SCHEMA readable TO reader",
    ):
        postgres.sql(statement)
    as_reader = open_store(postgres.url("readable", user="reader"))
    with as_reader.snapshot() as snapshot:
        assert len(snapshot.matching("river", 9)) == 1
    with pytest.raises(InputError, match=r"can't be written or read by this user .*; ask for that right"):
        put(as_reader, encoder, "a", "No.")
    with pytest.raises(InputError, match=r"can't be written or read by this user"):
        create_store(postgres.url("of_their_own", user="reader"), encoder)


def test_a_schema_of_another_program(postgres, encoder):
    postgres.sql("CREATE SCHEMA theirs")
    postgres.sql("CREATE TABLE theirs.notes (text text)")
    for use in (lambda url: create_store(url, encoder), open_store):
        with pytest.raises(InputError, match=r"The schema theirs of .* holds other tables; name a schema of its own"):
            use(postgres.url("theirs"))


def test_a_newer_format(postgres, encoder):
    store = create_store(postgres.url("newer"), encoder)
    postgres.sql("UPDATE newer.meta SET format_version = 2")
    with pytest.raises(InputError, match="format version 2, and this r2ag reads version 1; upgrade"):
        open_store(postgres.url("newer"))
    with pytest.raises(InputError, match="upgrade"):
        store.info()


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DELETE FROM damaged.vectors WHERE chunk = (SELECT min(chunk) FROM damaged.vectors)", "1 passages lack"),
        ("DELETE FROM damaged.words", "passages lack their vector or their words"),
        ("DELETE FROM damaged.chunks", "passages of a are missing"),
        ("DELETE FROM damaged.meta", "its description is missing"),
    ],
)
def test_parts_that_do_not_fit_are_found(postgres, encoder, statement, words):
    postgres.sql("DROP SCHEMA IF EXISTS damaged CASCADE")
    store = create_store(postgres.url("damaged"), encoder)
    put(store, encoder, "a", "One.", "Two.")
    store.check()
    postgres.sql(statement)
    with pytest.raises(InputError, match=words):
        store.check()


def test_vectors_too_long_for_a_page(postgres):
    encoder = HashingEncoder(dimension=3072)
    store = create_store(postgres.url("long_vectors"), encoder)
    put(store, encoder, "a", "One.", "Two.")
    with store.snapshot() as snapshot:
        assert np.array_equal(snapshot.vectors(snapshot.ids()), encoder.encode_queries(["One.", "Two."]))
    with pytest.raises(InputError, match="vectors of 20,000 numbers, and a store in PostgreSQL takes at most 16,000"):
        create_store(postgres.url("longer_vectors"), HashingEncoder(dimension=20_000))


def test_many_passages_get_an_index_that_finds_nearly_all(postgres, monkeypatch):
    store = create_store(postgres.url("many"), HashingEncoder(dimension=32))
    vectors = np.random.default_rng(0).standard_normal((2000, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    monkeypatch.setattr("r2ag.store.postgres.store.INDEXED_FROM", 2000)
    with store.writing() as writer, writer.batch():
        for part in range(20):
            documents = [Document(f"Number {number}.") for number in range(100)]
            writer.put(
                StoredFile(f"{part}", "d", 1, 0.0, {"part": part}), documents, vectors[part * 100 : part * 100 + 100]
            )
    assert postgres.sql("SELECT count(*) FROM pg_indexes WHERE schemaname = 'many' AND indexdef LIKE '%hnsw%'") == [
        (1,)
    ]
    found = few = 0
    with store.snapshot() as snapshot:
        ids = np.array(snapshot.ids())
        snapshot._search_index(10)
        snapshot._connection.execute("SET LOCAL enable_seqscan = off")  # which is quicker for so few
        plan = "EXPLAIN SELECT chunk, -(vector <#> %s) FROM vectors WHERE true ORDER BY vector <#> %s LIMIT 10"
        assert "vectors_nearest" in str(snapshot._connection.execute(plan, (vectors[0], vectors[0])).fetchall())
        for query in vectors[:50]:
            best = set(ids[np.argsort(-(vectors @ query))[:10]].tolist())
            found += len(best & {hit.id for hit in snapshot.nearest(query, 10)})
            few += len(snapshot.nearest(query, 10, "part = 3"))
        assert len(snapshot.nearest(vectors[0], 1000)) == 1000
    assert found >= 0.95 * 500
    assert few == 500


def test_many_threads_search_at_once(postgres, encoder):
    store = create_store(postgres.url("threads"), encoder)
    put(store, encoder, "rivers", "The river runs.")
    found: list[int] = []

    def search() -> None:
        for _ in range(10):
            with store.snapshot() as snapshot:
                found.append(len(snapshot.nearest(encoder.encode_queries(["river"])[0], 5)))

    threads = [Thread(target=search) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 120
    states = postgres.sql("SELECT DISTINCT state FROM pg_stat_activity WHERE application_name = 'r2ag'")
    assert states == [("idle",)]


def test_more_connections_than_are_kept_are_closed_whoever_filled_the_room_meanwhile(postgres, monkeypatch):
    from r2ag.store.postgres.connections import KEPT, Connections, read_address

    connections = Connections(read_address(postgres.url("kept")))
    monkeypatch.setattr(connections._idle, "full", lambda: False)  # as another thread saw it a moment ago

    def use() -> None:
        with ExitStack() as stack:
            used.extend(stack.enter_context(connections.transaction()) for _ in range(KEPT + 1))

    used: list[Any] = []
    using = Thread(target=use, daemon=True)
    using.start()
    using.join(60)
    assert not using.is_alive()
    assert sorted(connection.closed for connection in used) == [False] * KEPT + [True]
