"""Searches beside the answers that are being written."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from r2ag.pipeline import Pipeline
from r2ag.retrieval import BM25Finder, DenseFinder, Finder, Found, HybridFinder
from r2ag.retrieval.api import EmbeddingsAPI
from r2ag.retrieval.rerank import RerankedFinder, load_cross_encoder
from r2ag.server.guard import Limits
from r2ag.server.service import Service
from r2ag.store import Store, StoredFile
from tests.api_server import Server, api_server, vectors_of
from tests.hashing import HashingEncoder
from tests.server.conftest import Running, eventually, running
from tests.server.test_load import slowly
from tests.test_pipeline import QUESTION, new_pipeline
from tests.tiny import some_documents, tiny_cross_encoder_folder

__all__ = ["slowly"]

LONG = {"model": "r2ag", "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 200, "stream": True}


@dataclass
class Embeddings:
    """A server of vectors, which waits with them where `holding` is set."""

    server: Server
    holding: Event
    released: Event


@pytest.fixture
def embeddings(monkeypatch: pytest.MonkeyPatch) -> Iterator[Embeddings]:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    holding, released, vectors = Event(), Event(), vectors_of(HashingEncoder())

    def respond(request: dict[str, Any]) -> dict[str, Any]:
        if holding.is_set():
            released.wait(60)
        return vectors(request)

    with api_server(respond) as server:
        try:
            yield Embeddings(server, holding, released)
        finally:
            released.set()


def service_over(embeddings: Embeddings, folder: Path, **limits: float) -> Service:
    pipeline = new_pipeline()
    pipeline.reader.engine.stop_tokens = [-1]  # so that an answer ends at its limit
    encoder = EmbeddingsAPI(embeddings.server.url, "some-model", first_pause=0.01)
    store = Store.create(folder / "store", encoder)
    documents = some_documents(5)
    with store.writing() as writer, writer.batch():
        writer.put(StoredFile("a.md", "digest", 1, 0.0, {}), documents, encoder.encode_documents(documents))
    pipeline.use(DenseFinder(store, encoder))
    return Service.of(pipeline, store, encoder, Limits(**limits))  # type: ignore[arg-type]


def ask(server: Running) -> httpx.Response:
    body = {"model": "r2ag", "prompt": QUESTION, "max_tokens": 1}
    return server.http().post("/v1/completions", json=body)


def look(server: Running) -> httpx.Response:
    return server.http().post("/r2ag/attention", json={"question": QUESTION})


def upload(server: Running) -> httpx.Response:
    response = server.http().post("/v1/documents", files={"file": ("b.md", b"The town is old.")})
    id_ = response.json()["id"]
    eventually(lambda: server.http().get(f"/v1/documents/{id_}").json()["status"] == "ready")
    return response


@pytest.mark.parametrize("other", [ask, look, upload])
def test_an_answer_streams_on_while_others_wait_for_the_embeddings_server(embeddings, slowly, tmp_path, other):
    with running(service_over(embeddings, tmp_path)) as server, ThreadPoolExecutor(1) as client:
        with server.http().stream("POST", "/v1/chat/completions", json=LONG, timeout=30) as response:
            lines = response.iter_lines()
            next(lines)
            embeddings.holding.set()
            asked = len(embeddings.server.requests)
            waiting = client.submit(other, server)
            eventually(lambda: len(embeddings.server.requests) == asked + 1)
            assert server.service.thread.writing == 1
            slowly.set()
            text = "".join(lines)
        assert text.endswith("data: [DONE]")
        assert '"finish_reason": "length"' in text
        assert not waiting.done()
        embeddings.released.set()
        assert waiting.result().status_code in (200, 202)


def test_a_search_ends_with_the_deadline_of_its_question(embeddings, tmp_path):
    with running(service_over(embeddings, tmp_path, deadline_s=3)) as server:
        embeddings.holding.set()
        response = ask(server)
        assert (response.status_code, response.json()["error"]["code"]) == (504, "timeout")
        assert server.service.slots.taken == 0
        embeddings.released.set()
        assert ask(server).status_code == 200


def test_what_the_embeddings_server_refuses_is_told_to_the_log_alone(embeddings, tmp_path, caplog):
    with running(service_over(embeddings, tmp_path)) as server:
        embeddings.server.answers = [(404, {}, b"")]
        response = ask(server)
        assert response.status_code == 503
        assert "log says why" in response.json()["error"]["message"]
        assert embeddings.server.url not in response.text
        assert any(embeddings.server.url in str(vars(record).get("fields")) for record in caplog.records)


class Unknown:
    """A finder of somebody's own, which encodes by itself."""

    def __init__(self, pipeline: Pipeline, store: Store) -> None:
        self.pipeline, self.store = pipeline, store

    def find(self, question: str, k: int, where: str | None = None) -> Found:
        return DenseFinder(self.store, self.pipeline.encoder).find(question, k, where)


@pytest.mark.parametrize("kind", ["dense", "bm25", "hybrid", "reranked", "unknown"])
def test_the_server_finds_what_the_finder_finds(tmp_path, kind):
    pipeline = new_pipeline()
    store = Store.create(tmp_path / "store", pipeline.encoder)
    documents = some_documents(12)
    with store.writing() as writer, writer.batch():
        vectors = pipeline.encoder.encode_documents(documents)
        writer.put(StoredFile("a.md", "digest", 1, 0.0, {}), documents, vectors)
    hybrid = HybridFinder(store, pipeline.encoder)
    finders: dict[str, Finder] = {
        "dense": DenseFinder(store, pipeline.encoder),
        "bm25": BM25Finder(store),
        "hybrid": hybrid,
        "reranked": RerankedFinder(hybrid, load_cross_encoder(str(tiny_cross_encoder_folder(tmp_path / "model")))),
        "unknown": Unknown(pipeline, store),
    }
    pipeline.use(finders[kind])
    question = documents[3].text
    expected = pipeline.ask(question, k=4, max_new_tokens=1)
    with running(Service.of(pipeline, store)) as server:
        body = {"model": "r2ag", "prompt": question, "k": 4, "max_tokens": 1}
        facts = server.http().post("/v1/completions", json=body).json()["r2ag"]
    assert [found["text"] for found in facts["documents"]] == [scored.document.text for scored in expected.documents]
    assert len(facts["documents"]) == 4
    assert [found["relevance_probability"] for found in facts["documents"]] == pytest.approx(
        [scored.relevance_probability for scored in expected.documents], abs=1e-5
    )
