"""The command with the real default models, asked by the official client."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from openai import OpenAI

from r2ag.samples import documents_folder
from r2ag.types import NOTHING_FOUND
from tests.cli.test_serve import serving

pytestmark = pytest.mark.model

COFFEE, BRIDGE = "Who invented the paper coffee filter?", "When did the Golden Gate Bridge open?"


@pytest.fixture(scope="module")
def client() -> Iterator[OpenAI]:
    with serving("--docs", documents_folder()) as process:
        yield OpenAI(base_url=f"{process.url}/v1", api_key="none", timeout=600, max_retries=0)


def test_a_question_is_answered_and_cited(client: OpenAI) -> None:
    response = client.chat.completions.create(model="r2ag", messages=[{"role": "user", "content": COFFEE}])
    message = response.choices[0].message
    assert "Bentz" in str(message.content)
    assert message.annotations is not None
    assert message.annotations[0].url_citation.title == "A filter from a school notebook"
    assert response.r2ag["documents"][0]["source"] == "coffee-filter.md"  # type: ignore[attr-defined]
    assert response.r2ag["citations"] == [1]  # type: ignore[attr-defined]


def test_streams_side_by_side_and_a_follow_up(client: OpenAI) -> None:
    def stream(question: str) -> str:
        chunks = client.completions.create(model="r2ag", prompt=question, stream=True)
        return "".join(chunk.choices[0].text for chunk in chunks)

    with ThreadPoolExecutor(2) as clients:
        coffee, bridge = clients.map(stream, [COFFEE, BRIDGE])
    assert "Bentz" in coffee
    assert "1937" in bridge
    messages = [
        {"role": "user", "content": BRIDGE},
        {"role": "assistant", "content": bridge},
        {"role": "user", "content": "How long is it?"},
    ]
    response = client.chat.completions.create(model="r2ag", messages=messages, max_tokens=16)  # type: ignore[arg-type]
    # Which of the passage's lengths so small an LLM takes differs between bfloat16 and float32.
    assert "metres" in str(response.choices[0].message.content)
    assert "Golden Gate" in response.r2ag["question"]  # type: ignore[attr-defined]
    assert response.r2ag["documents"][0]["source"] == "bridges-golden-gate.md"  # type: ignore[attr-defined]


def test_nothing_is_found_for_what_the_documents_do_not_tell(client: OpenAI) -> None:
    messages = [{"role": "user", "content": "How many hearts does an octopus have?"}]
    response = client.chat.completions.create(model="r2ag", messages=messages)  # type: ignore[arg-type]
    assert response.choices[0].message.content == NOTHING_FOUND


def test_embeddings_and_models(client: OpenAI) -> None:
    data = client.embeddings.create(model="r2ag-encoder", input=["a bridge", "a coffee filter"]).data
    assert [len(each.embedding) for each in data] == [384, 384]
    assert [model.id for model in client.models.list()] == ["r2ag", "rag", "r2ag-encoder"]
