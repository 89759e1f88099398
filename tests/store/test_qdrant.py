"""Qdrant alone: addresses, keys, and what may be wrong with a server or a collection.

The store's protocol is tested on the client's own engine, in memory or in a folder; what a server answers over HTTP
when it is no Qdrant, or refuses, on a small server of Python's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from uuid import uuid4

import pytest

from r2ag.errors import InputError
from r2ag.store import AnyStore, create_store, open_store
from tests.hashing import HashingEncoder
from tests.store.conftest import put

client = pytest.importorskip("qdrant_client", reason="needs qdrant-client: pip install 'r2ag[qdrant]'")
models = client.models


@pytest.fixture
def name() -> str:
    return f"s{uuid4().hex}"


@pytest.fixture
def store(qdrant, name, encoder) -> AnyStore:
    store = create_store(f"qdrant+http://in-process/{name}", encoder)
    put(store, encoder, "bridges", "The bridge was built in 1471.", "Bridges fall.")
    put(store, encoder, "rivers", "The river runs.")
    return store


# Addresses and servers


@pytest.mark.parametrize(
    ("location", "server", "collection"),
    [
        ("qdrant+http://localhost/notes", "http://localhost", "notes"),
        ("qdrant+https://q.example.org:443/a%20b", "https://q.example.org:443", "a%20b"),
        ("qdrant+http://[::1]:7000/behind/proxy/notes", "http://[::1]:7000/behind/proxy", "notes"),
    ],
)
def test_addresses(location, server, collection, monkeypatch):
    from r2ag.store import qdrant

    given: list[dict[str, object]] = []
    monkeypatch.setattr(qdrant, "QdrantClient", lambda **options: given.append(options))
    points = qdrant.QdrantPoints(location)
    assert (given[0]["url"], points._collection, points.name) == (server, collection, location)


@pytest.mark.parametrize(
    "location",
    [
        "qdrant+http://",
        "qdrant+http://localhost:6333",
        "qdrant+http://localhost:6333/",
        "qdrant+http://localhost:port/notes",
        "qdrant+http://[localhost/notes",
        "qdrant+http:///notes",
        "qdrant+http://localhost/notes?key=s3cret",
        "qdrant+http://localhost/notes#s3cret",
        "qdrant+http://ann:s3cret@localhost/notes",
    ],
)
def test_malformed_addresses(location):
    with pytest.raises(InputError, match=r"write it as in qdrant\+http://localhost.*set QDRANT_API_KEY") as refused:
        open_store(location)
    assert "s3cret" not in str(refused.value)


def test_a_key_that_cannot_be_sent(monkeypatch):
    monkeypatch.setenv("QDRANT_API_KEY", "s3cret\n")
    with pytest.raises(InputError, match="QDRANT_API_KEY holds characters that no key has") as refused:
        open_store("qdrant+http://localhost/notes")
    assert "s3cret" not in str(refused.value)


@contextmanager
def answering(status: int, body: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, list[str | None]]]:
    """The address of a server that always answers so, and the keys that it was sent; the client is the real one."""
    keys: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            keys.append(self.headers.get("api-key"))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Says nothing."""

    monkeypatch.setattr("r2ag.store.qdrant.QdrantClient", client.QdrantClient)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever).start()
        try:
            yield f"qdrant+http://127.0.0.1:{server.server_port}/notes", keys
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, b"Invalid API key s3cret", r"401 \(Unauthorized\).*check the address, that it runs, and QDRANT_API_KEY"),
        (200, b"<html>hello</html>", "can't be reached or refuses .*; check the address"),
        (400, b'{"status": {"error": "Wrong\n input"}}', "400 .*Wrong.* input.*; check the address"),
        (503, b"busy", "503 .*busy.*then give the same command again: what was done is kept"),
    ],
)
def test_servers_that_refuse(status, body, words, monkeypatch):
    monkeypatch.setenv("QDRANT_API_KEY", "s3cret")
    with answering(status, body, monkeypatch) as (location, keys):
        with pytest.warns(UserWarning, match="insecure"), pytest.raises(InputError, match=words) as refused:
            open_store(location)
        assert keys == ["s3cret"]
    assert "s3cret" not in str(refused.value)


def test_a_server_that_is_not_there(monkeypatch):
    monkeypatch.setattr("r2ag.store.qdrant.QdrantClient", client.QdrantClient)
    with pytest.raises(InputError, match=r"127\.0\.0\.1:1/notes can't be reached .*refused.*; check the address"):
        open_store("qdrant+http://127.0.0.1:1/notes")


# Collections


def test_a_collection_of_another_program(qdrant, name, encoder):
    qdrant.create_collection(name, vectors_config=models.VectorParams(size=64, distance=models.Distance.DOT))
    qdrant.upsert(name, [models.PointStruct(id=0, vector=[0.0] * 64, payload={"kind": "theirs"})])
    with pytest.raises(InputError, match=r"holds other things than a store, .*; name another"):
        create_store(f"qdrant+http://in-process/{name}", encoder)
    with pytest.raises(InputError, match="There is no store in"):
        open_store(f"qdrant+http://in-process/{name}")
    assert qdrant.count(name).count == 1


@pytest.mark.parametrize(
    ("dense", "sparse", "words"),
    [
        (
            {"dense": models.VectorParams(size=32, distance=models.Distance.DOT)},
            {"words": {}},
            "takes other vectors than dense, of 64 numbers",
        ),
        (
            {"dense": models.VectorParams(size=64, distance=models.Distance.COSINE)},
            {"words": {}},
            "takes other vectors than dense, of 64 numbers",
        ),
        (
            models.VectorParams(size=64, distance=models.Distance.DOT),
            {"words": {}},
            "takes other vectors than dense, of 64 numbers",
        ),
        (
            {"dense": models.VectorParams(size=64, distance=models.Distance.DOT)},
            {},
            "and words, sparse with the modifier IDF",
        ),
    ],
)
def test_an_empty_collection_for_other_vectors(qdrant, name, encoder, dense, sparse, words):
    sparse = {key: models.SparseVectorParams(modifier=models.Modifier.IDF) for key in sparse}
    qdrant.create_collection(name, vectors_config=dense, sparse_vectors_config=sparse)
    with pytest.raises(InputError, match=words):
        create_store(f"qdrant+http://in-process/{name}", encoder)
    assert qdrant.count(name).count == 0


def test_an_empty_collection_that_fits_is_taken(qdrant, name, encoder):
    qdrant.create_collection(
        name,
        vectors_config={"dense": models.VectorParams(size=64, distance=models.Distance.DOT)},
        sparse_vectors_config={"words": models.SparseVectorParams(modifier=models.Modifier.IDF)},
    )
    create_store(f"qdrant+http://in-process/{name}", encoder).check()


def test_another_format(qdrant, store, name):
    qdrant.set_payload(name, {"format_version": 3}, points=[0])
    with pytest.raises(InputError, match="format version 3, and this r2ag reads version 2; upgrade"):
        open_store(store.name)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [("kind", "passage", "passages of .* are missing"), ("kind", "file", "the descriptions of some files are missing")],
)
def test_parts_that_do_not_fit_are_found(qdrant, store, name, key, value, words):
    store.check()
    selected = models.Filter(
        must=[
            models.FieldCondition(key=key, match=models.MatchValue(value=value)),
            models.FieldCondition(key="source", match=models.MatchValue(value="rivers")),
        ]
    )
    qdrant.delete(name, points_selector=selected)
    with pytest.raises(InputError, match=rf"is damaged \({words}\); restore a backup"):
        store.check()


def test_a_description_that_is_gone_or_makes_no_sense(qdrant, store, name):
    qdrant.set_payload(name, {"probe": "!"}, points=[0])
    with pytest.raises(InputError, match="its description of the encoder can't be read"):
        open_store(store.name)
    qdrant.delete(name, points_selector=[0])
    with pytest.raises(InputError, match="There is no store in"):
        open_store(store.name)


def test_another_encoder_is_recognised_by_its_vectors(store):
    with pytest.raises(InputError, match="holds vectors of the encoder hashing"):
        create_store(store.name, HashingEncoder("other"))


def test_values_that_are_too_many_to_look_through(store, monkeypatch):
    monkeypatch.setattr("r2ag.store.qdrant.MAX_VALUES", 1)
    with store.snapshot() as snapshot:
        assert len(snapshot.matching("river", 9, "source = rivers")) == 1
        with pytest.raises(InputError, match=r"asks source for more than equality, .* more than 1 different values"):
            snapshot.matching("river", 9, "source like '%r%'")


def test_a_passage_that_is_gone_when_it_is_read(store, encoder):
    with store.snapshot() as snapshot:
        ids = snapshot.ids("rivers")
        with store.writing() as writer:
            writer.remove("rivers")
        with pytest.raises(InputError, match="was changed while it was read; ask again"):
            snapshot.documents(ids)


def test_closing_closes_the_clients_connections(monkeypatch, qdrant, name, encoder):
    closed: list[bool] = []
    monkeypatch.setattr(type(qdrant), "close", lambda self: closed.append(True))
    with create_store(f"qdrant+http://in-process/{name}", encoder):
        made = len(closed)  # one was open only to make the collection
    assert len(closed) == made + 1
