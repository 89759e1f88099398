"""Methods that a server's LLM answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from r2ag.engines.chat_api import as_text
from r2ag.evaluation.methods.base import Spec
from r2ag.evaluation.methods.refined import Refined
from r2ag.evaluation.methods.remote import RemoteRefined
from r2ag.method.templates import plain_template
from tests.api_server import Server, chat_server
from tests.evaluation.conftest import Parts


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with chat_server(lambda message: "1400") as server:
        yield server


def test_models_and_addresses() -> None:
    assert Spec.parse("rag=vendor/m:8b@http://host:1/v1").server() == ("vendor/m:8b", "http://host:1/v1")
    for folder in ("rag", "rag=runs/a@b", "rag=m@ftp://host"):
        assert Spec.parse(folder).server() is None


def test_plain_rag_by_a_server(parts: Parts, server: Server) -> None:
    ranked, method = parts.ranked(3), parts.method(f"rag:one-shot=some-model@{server.url}")
    assert method.name == "rag:one-shot"
    (prediction,) = method.answer([ranked])
    (request,) = server.requests
    assert request["messages"][0]["content"] == as_text(plain_template("one-shot"), ranked.question, ranked.documents)
    assert (request["model"], request["max_tokens"]) == ("some-model", 4)
    assert (prediction.text, prediction.prompt_tokens, prediction.completion_tokens) == ("1400", 11, 3)
    assert (prediction.documents_read, prediction.seconds > 0) == (3, True)
    assert method.settings != parts.method(f"rag=some-model@{server.url}").settings
    assert method.settings != parts.method(f"rag:one-shot=another@{server.url}").settings


def test_relevance_in_words_by_a_server(parts: Parts, server: Server) -> None:
    ranked, method = parts.ranked(2), parts.method(f"r2ag-words=some-model@{server.url}")
    assert isinstance(method, RemoteRefined)
    here = parts.method("r2ag-words")
    assert isinstance(here, Refined)
    assert method.refine(ranked) == here.refine(ranked)
    method.answer([ranked])
    said = server.requests[0]["messages"][0]["content"]
    assert all(document.text in said for document in here.refine(ranked).documents)
    assert "{" not in said
