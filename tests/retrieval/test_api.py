"""Embeddings from a real HTTP server, which behaves and misbehaves as told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from r2ag.errors import InputError
from r2ag.io import http as remote
from r2ag.retrieval import DenseFinder
from r2ag.retrieval.api import TEXTS_A_REQUEST, EmbeddingsAPI
from r2ag.store import Store
from r2ag.types import Document
from tests.api_server import SILENCE, Server, api_server, vectors_of
from tests.hashing import HashingEncoder
from tests.store.conftest import put


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with api_server(vectors_of(HashingEncoder())) as server:
        yield server


def encoder(server: Server, **options: Any) -> EmbeddingsAPI:
    return EmbeddingsAPI(server.url, "some-model", first_pause=0.01, **options)


def test_vectors_come_in_order_in_batches_at_unit_length(server):
    documents = [Document(f"text {number}", title="title" if number % 2 else "") for number in range(150)]
    vectors = encoder(server).encode_documents(documents)
    assert vectors.dtype == np.float32
    assert vectors == pytest.approx(HashingEncoder().encode_documents(documents), abs=1e-5)
    assert [len(request["input"]) for request in server.requests] == [TEXTS_A_REQUEST, TEXTS_A_REQUEST, 22]
    assert {(request["path"], request["model"]) for request in server.requests} == {("/v1/embeddings", "some-model")}
    assert encoder(server).encode_queries([]).shape == (0, 64)


def test_the_key_is_sent_if_there_is_one(server, monkeypatch):
    encoder(server).encode_queries(["x"])
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    encoder(server).encode_queries(["x"])
    assert server.keys == [None, "Bearer sk-1"]
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1\nX-Evil: 1")
    with pytest.raises(InputError, match="OPENAI_API_KEY"):
        encoder(server)


def test_a_key_does_not_follow_a_redirect(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    server.answers = [(307, {"location": f"{server.url}/elsewhere"}, b"")]
    with pytest.raises(InputError, match="status 307"):
        encoder(server).encode_queries(["x"])
    assert len(server.requests) == 1


def test_texts_that_utf8_cannot_hold_and_empty_ones(server):
    assert encoder(server).encode_queries(["", "half \ud800"]).shape == (2, 64)
    assert server.requests[0]["input"] == [" ", "half ?"]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_may_pass_is_tried_again(server, status):
    server.answers = [(status, {}, b"")] * 3
    assert encoder(server).encode_queries(["x"]).shape == (1, 64)
    assert len(server.requests) == 4
    server.answers = [(status, {}, b'{"error": {"message": "too\\nbusy"}}')] * 4
    with pytest.raises(InputError, match=rf"status {status} \(too busy\); try again later"):
        encoder(server).encode_queries(["x"])


def test_the_pause_that_the_server_asks_for(server, monkeypatch):
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(remote.asyncio, "sleep", sleep)
    server.answers = [(429, {"retry-after": "7"}, b""), (429, {"retry-after": "9999"}, b""), (503, {}, b"")]
    encoder(server).encode_queries(["x"])
    assert pauses == [7, 20, pytest.approx(0.04)]


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "set OPENAI_API_KEY"), (403, "set OPENAI_API_KEY"), (404, "model's name, some-model"), (400, "some-model")],
)
def test_refusals_are_not_tried_again(server, status, words):
    server.answers = [(status, {}, b"<html>no</html>")]
    with pytest.raises(InputError, match=words):
        encoder(server).encode_queries(["x"])
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{}",
        b'{"data": []}',
        b'{"data": [{"index": 0, "embedding": []}]}',
        b'{"data": [{"index": 1, "embedding": [1, 2]}]}',
        b'{"data": [{"index": 0, "embedding": ["x"]}]}',
        b'{"data": [{"index": 0, "embedding": [NaN]}]}',
        b'{"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [1]}]}',
        b'{"data": [{"index": 0, "embedding": "AAAA"}]}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_answers_that_are_none(server, body):
    server.answers = [(200, {}, body)]
    with pytest.raises(InputError, match="one vector for each text"):
        encoder(server).encode_queries(["x"])


def test_an_endless_answer(server, monkeypatch):
    monkeypatch.setattr(remote, "MAX_RESPONSE_BYTES", 1000)
    server.answers = [(200, {}, b" " * 100_000)]
    with pytest.raises(InputError, match="more than 1,000 bytes"):
        encoder(server).encode_queries(["x"])


def test_a_server_that_is_slow_or_gone(server):
    server.answers = [(SILENCE, {}, b"")] * 4
    with pytest.raises(InputError, match="was silent for too long"):
        encoder(server, timeout=httpx.Timeout(0.3, connect=10)).encode_queries(["x"])
    assert len(server.requests) == 4
    with pytest.raises(InputError, match="can't be reached"):
        EmbeddingsAPI("http://127.0.0.1:1/v1", "m", first_pause=0.01).encode_queries(["x"])


@pytest.mark.parametrize("how", ["close", "with", "unused"])
def test_no_thread_and_no_connection_outlives_the_client(server, how):
    client = encoder(server)
    client.encode_queries(["x"])
    thread, connections = client._thread, client._client
    if how == "close":
        client.close()
        client.close()
    elif how == "with":
        with client:
            pass
    del client
    thread.join(10)
    assert not thread.is_alive()
    assert connections.is_closed


@pytest.mark.parametrize("url", ["", "localhost:80", "ftp://host/v1", "http://", "file:///etc/passwd", "http://[::1"])
def test_what_is_no_address(url):
    with pytest.raises(InputError, match=r"is no address of a server"):
        EmbeddingsAPI(url, "m")


def test_a_store_of_a_servers_vectors(server, tmp_path):
    servers_encoder = encoder(server)
    store = Store.create(tmp_path / "store", servers_encoder)
    put(store, servers_encoder, "a.md", "The river runs.", "Bees dance.")  # type: ignore[arg-type]
    found = DenseFinder(Store.open(tmp_path / "store"), servers_encoder).find("the river runs.", 1)
    assert found.documents[0].text == "The river runs."
    server.respond = vectors_of(HashingEncoder("another model"))
    with pytest.raises(InputError, match="holds vectors of the encoder some-model"):
        DenseFinder(store, encoder(server))
