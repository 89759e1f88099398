"""/v1/rerank, /v1/embeddings and /v1/models."""

from __future__ import annotations

import numpy as np
import openai
import pytest

from r2ag.types import Document
from tests.server.conftest import QUESTION, Running

TEXTS = ["The bridge was built in 1471.", "The town.", "A mason fell into the river."]


def test_reranking_gives_calibrated_probabilities(server: Running) -> None:
    """As Jina's and Cohere's clients post it."""
    body = {"model": "r2ag", "query": QUESTION, "documents": [*TEXTS, {"text": "More."}], "top_n": 3}
    response = server.http().post("/v1/rerank", json={**body, "return_documents": True}).json()
    answer = server.pipeline.ask(QUESTION, [Document(text) for text in [*TEXTS, "More."]], max_new_tokens=1)
    expected = {d.rank - 1: d.relevance_probability for d in answer.documents}
    found = [(result["index"], result["relevance_score"]) for result in response["results"]]
    assert len(found) == 3
    assert [score for _, score in found] == sorted(expected.values(), reverse=True)[:3]
    assert dict(found) == pytest.approx({index: expected[index] for index, _ in found})
    assert response["results"][0]["document"]["text"] == [*TEXTS, "More."][found[0][0]]
    assert response["usage"]["total_tokens"] > 10
    assert "document" not in server.http().post("/rerank", json=body).json()["results"][0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"documents": []}, "documents"),
        ({"documents": ["x"] * 9}, "There are 9 documents; send the best 8"),
        ({"query": ""}, "The question is empty"),
        ({"documents": [{"image": "x"}]}, "documents.0"),
        ({"top_n": 0}, "top_n"),
    ],
)
def test_what_cannot_be_reranked(server: Running, changes: dict[str, object], words: str) -> None:
    response = server.http().post("/v1/rerank", json={"query": QUESTION, "documents": TEXTS} | changes)
    assert response.status_code == 400
    assert words in response.json()["error"]["message"]


def test_embeddings_are_the_encoders(server: Running) -> None:
    client = server.openai().embeddings
    many = TEXTS * 7  # more than are encoded at once
    response = client.create(model="r2ag-encoder", input=many)  # the client asks for base64
    vectors = np.array([each.embedding for each in response.data])
    expected = server.pipeline.encoder.encode_documents([Document(text) for text in many])
    assert vectors == pytest.approx(expected, abs=1e-5)
    assert response.usage.prompt_tokens == sum(map(server.pipeline.encoder.count_tokens, many))
    numbers = client.create(model="r2ag-encoder", input=TEXTS[0], encoding_format="float")
    assert numbers.data[0].embedding == pytest.approx(vectors[0], abs=1e-5)
    query = client.create(model="r2ag-encoder", input=QUESTION, extra_body={"input_type": "query"})
    assert query.data[0].embedding == pytest.approx(server.pipeline.encoder.encode_queries([QUESTION])[0], abs=1e-5)


def test_what_cannot_be_embedded(server: Running) -> None:
    client = server.openai().embeddings
    for wrong in ([1, 2], [[1]], [], "", ["x"] * 257, "x" * 60_000):
        with pytest.raises(openai.BadRequestError):
            client.create(model="r2ag-encoder", input=wrong)  # type: ignore[arg-type]
    with pytest.raises(openai.BadRequestError, match="32 numbers"):
        client.create(model="r2ag-encoder", input="x", dimensions=8)
    with pytest.raises(openai.NotFoundError, match="'r2ag-encoder'"):
        client.create(model="r2ag", input="x")


def test_models(server: Running) -> None:
    client = server.openai().models
    assert [model.id for model in client.list()] == ["r2ag", "rag", "r2ag-encoder"]
    assert client.retrieve("r2ag").owned_by == "r2ag"
    with pytest.raises(openai.NotFoundError):
        client.retrieve("gpt-9")


@pytest.mark.parametrize("nothing", ["\u0005", " ", "\u00ad\n"])
def test_text_without_a_letter_is_no_failure(server: Running, nothing: str) -> None:
    response = server.http().post("/v1/rerank", json={"query": QUESTION, "documents": [nothing, "The bridge."]})
    assert response.status_code == 200
    assert server.openai().embeddings.create(model="r2ag-encoder", input=nothing).data[0].embedding
