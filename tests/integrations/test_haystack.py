"""Haystack's own pipelines, around tiny models in folders."""

from __future__ import annotations

import asyncio
import os
from itertools import pairwise

import pytest

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"  # read when it is imported
pytest.importorskip("haystack", reason="needs the extra haystack: make test-integrations")

from haystack import Document, Pipeline
from haystack.components.generators.utils import print_streaming_chunk
from haystack.dataclasses import ChatMessage, ImageContent

from r2ag.errors import InputError
from r2ag.integrations.haystack import R2AGGenerator, R2AGModels, R2AGRanker
from r2ag.types import NOTHING_FOUND
from tests.cli.conftest import Tiny

QUESTION = "Which bridge?"


def given(count: int) -> list[Document]:
    texts = [f"The bridge number {i} fell in {1400 + i}." for i in range(count)]
    return [Document(content=text, meta={"file_path": f"{i}.md"}, score=9.0) for i, text in enumerate(texts)]


@pytest.fixture(scope="module")
def models(tiny: Tiny) -> R2AGModels:
    return R2AGModels(str(tiny.adapter), str(tiny.llm), str(tiny.encoder))


def new_pipeline(models: R2AGModels, **ranking: float) -> Pipeline:
    pipeline = Pipeline()
    pipeline.add_component("ranker", R2AGRanker(models, **ranking))
    pipeline.add_component("generator", R2AGGenerator(models, max_new_tokens=8))
    pipeline.connect("ranker.documents", "generator.documents")
    return pipeline


def inputs(documents: list[Document]) -> dict[str, dict[str, object]]:
    return {"ranker": {"query": QUESTION, "documents": documents}, "generator": {"messages": QUESTION}}


def test_the_ranker_scores_orders_and_cuts(models: R2AGModels):
    documents = given(5)
    ranked = R2AGRanker(models).run(QUESTION, documents)["documents"]
    assert all(first.score >= second.score for first, second in pairwise(ranked))
    assert {document.id for document in ranked} == {document.id for document in documents}
    assert all(document.meta["relevance_probability"] == document.score for document in ranked)
    assert all(document.score == 9.0 and list(document.meta) == ["file_path"] for document in documents)
    assert R2AGRanker(models, threshold=ranked[1].score).run(QUESTION, documents)["documents"] == ranked[:2]
    assert R2AGRanker(models, top_k=4).run(QUESTION, documents, top_k=1)["documents"] == ranked[:1]
    assert R2AGRanker(models).run(QUESTION, []) == {"documents": []}


def test_a_pipeline_ranks_and_answers(models: R2AGModels):
    pipeline = new_pipeline(models, top_k=3)
    reply = pipeline.run(inputs(given(5)))["generator"]["replies"][0]
    facts = reply.meta["r2ag"]
    ranked = R2AGRanker(models, top_k=3).run(QUESTION, given(5))["documents"]
    assert reply.text == facts["answer"]
    assert [document["source"] for document in facts["documents"]] == [one.meta["file_path"] for one in ranked]
    assert reply.meta["usage"]["prompt_tokens"] > 0
    cut = reply.meta["usage"]["completion_tokens"] == 8
    assert reply.meta["finish_reason"] == facts["finish_reason"] == ("length" if cut else "stop")
    again = asyncio.run(pipeline.run_async(inputs(given(5))))
    assert again["generator"]["replies"][0].text == reply.text


def test_a_saved_pipeline_is_the_same(models: R2AGModels):
    pipeline = new_pipeline(models, threshold=0.25, top_k=3)
    loaded = Pipeline.loads(pipeline.dumps(), allowed_modules=["r2ag.*"])
    assert loaded == pipeline
    assert loaded.get_component("ranker").models == models
    text = loaded.run(inputs(given(3)))["generator"]["replies"][0].text
    assert text == pipeline.run(inputs(given(3)))["generator"]["replies"][0].text


def test_a_callback_is_saved_too(models: R2AGModels):
    data = R2AGGenerator(models, streaming_callback=print_streaming_chunk).to_dict()
    twice = [R2AGGenerator.from_dict(data).to_dict() for _ in range(2)]
    assert twice == [data, data]


def test_pieces_of_an_answer_go_to_the_callback(models: R2AGModels):
    pieces: list[str] = []
    generator = R2AGGenerator(models, max_new_tokens=8)
    run = generator.run(QUESTION, given(3), streaming_callback=lambda chunk: pieces.append(chunk.content))
    assert len(pieces) > 1
    assert "".join(pieces) == run["replies"][0].text


def test_messages_before_the_question_are_its_context(models: R2AGModels):
    messages = [
        ChatMessage.from_user("Who built the bridge of Wexmoor?"),
        ChatMessage.from_assistant("A mason"),
        ChatMessage.from_user("When did he build it?"),
    ]
    reply = R2AGGenerator(models, max_new_tokens=4).run(messages, given(3))["replies"][0]
    assert "Wexmoor" in reply.meta["r2ag"]["question"]


def test_nothing_found_is_said(models: R2AGModels):
    reply = new_pipeline(models, threshold=1.0).run(inputs(given(3)))["generator"]["replies"][0]
    assert reply.text == NOTHING_FOUND


def test_what_cannot_be_used_is_refused_in_a_sentence(models: R2AGModels):
    with pytest.raises(ValueError, match="must be a probability"):
        R2AGRanker(models, threshold=2)
    with pytest.raises(ValueError, match="top_k is 0"):
        R2AGRanker(models).run(QUESTION, given(1), top_k=0)
    with pytest.raises(InputError, match="33 documents and this adapter takes 1 to 32"):
        R2AGRanker(models).run(QUESTION, given(33))
    with pytest.raises(InputError, match="The question is empty"):
        R2AGGenerator(models).run(" ", given(1))
    picture = ChatMessage.from_user(content_parts=["What is this?", ImageContent(base64_image="aGVsbG8=")])
    with pytest.raises(InputError, match="reads text alone"):
        R2AGGenerator(models).run([picture], given(1))
