"""Plain RAG beside R²AG, answers that read all documents, and where an answer looked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import openai
import pytest

from r2ag.answering.attention import last_token_attention
from r2ag.server.requests import GivenDocument
from tests.server.conftest import QUESTION, Running

USER: list[Any] = [{"role": "user", "content": QUESTION}]


def test_plain_rag_is_a_model_of_its_own(server: Running) -> None:
    expected = server.pipeline.ask_plain(server.pipeline.find(QUESTION))
    response: Any = server.openai().chat.completions.create(model="rag", messages=USER)
    assert response.choices[0].message.content == expected
    assert response.model == "rag"
    assert all(document["used"] for document in response.r2ag["documents"])
    assert not response.r2ag["abstained"]
    chunks = list(server.openai().chat.completions.create(model="rag", messages=USER, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == expected
    assert {chunk.model for chunk in chunks} == {"rag"}
    completion = server.openai().completions.create(model="rag", prompt=QUESTION)
    assert (completion.model, completion.choices[0].text) == ("rag", expected)


def test_plain_rag_never_abstains(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[bool, bool]] = []
    assess = server.pipeline.assess

    def noting(found: Any, *, abstain: bool, prune: bool) -> Any:
        seen.append((abstain, prune))
        return assess(found, abstain=abstain, prune=prune)

    monkeypatch.setattr(server.pipeline, "assess", noting)
    for model, prune in (("r2ag", True), ("r2ag", False), ("rag", True)):
        server.openai().completions.create(model=model, prompt=QUESTION, max_tokens=1, extra_body={"prune": prune})
    assert seen == [(True, True), (True, False), (False, False)]


def test_other_models_are_named(server: Running) -> None:
    with pytest.raises(openai.NotFoundError, match="this address has 'r2ag' and 'rag'"):
        server.openai().completions.create(model="gpt", prompt=QUESTION)


def test_where_an_answer_looked(server: Running) -> None:
    given = [{"text": "The bridge is of stone.", "title": "Bridge"}, "A mill.", "A tower."]
    response = server.http().post(
        "/r2ag/attention", json={"question": QUESTION, "documents": given, "abstain": False, "prune": False}
    )
    assert response.status_code == 200
    found = response.json()
    reader = server.pipeline.reader
    ranked = server.pipeline.find(QUESTION, [document(each) for each in given]).ranked
    (prompt,), mixed = reader.mix([ranked], reader.assess([ranked]), 64)
    expected = last_token_attention(reader.model.llm, prompt, mixed)
    assert found["ranks"] == [1, 2, 3]
    for name, layers in (("anchors", expected.anchors), ("documents", expected.documents)):
        assert found[name] == [pytest.approx(layer, abs=2e-5) for layer in layers]


def test_where_the_llm_is_not_asked_it_looks_at_nothing(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    assess = server.pipeline.assess

    def abstaining(found: Any, *, abstain: bool, prune: bool) -> Any:
        return replace(assess(found, abstain=abstain, prune=prune), keep=())

    monkeypatch.setattr(server.pipeline, "assess", abstaining)
    found = server.http().post("/r2ag/attention", json={"question": QUESTION}).json()
    assert found == {"ranks": [], "anchors": [], "documents": []}


@pytest.mark.parametrize("body", [{}, {"question": " "}, {"question": QUESTION, "k": 1000}, {"question": 1}])
def test_attention_is_refused_as_answers_are(server: Running, body: dict[str, Any]) -> None:
    response = server.http().post("/r2ag/attention", json=body)
    assert response.status_code == 400
    assert response.json()["error"]["message"]


def document(given: Any) -> Any:
    return GivenDocument.model_validate({"text": given} if isinstance(given, str) else given).document()
