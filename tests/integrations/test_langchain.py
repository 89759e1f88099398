"""LangChain's own interfaces, around tiny models."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from operator import itemgetter

import pytest

pytest.importorskip("langchain_core", reason="needs the extra langchain: make test-integrations")

from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.runnables import RunnablePassthrough

from r2ag.errors import InputError
from r2ag.integrations.langchain import R2AGChatModel, R2AGCompressor, R2AGRetriever
from r2ag.pipeline import Pipeline
from r2ag.types import NOTHING_FOUND
from tests.integrations.conftest import QUESTION


@pytest.fixture
def chat(pipeline: Pipeline) -> R2AGChatModel:
    return R2AGChatModel(pipeline=pipeline, max_new_tokens=8)


def given(count: int) -> list[Document]:
    return [Document(f"The bridge number {i} fell in {1400 + i}.", metadata={"id": i}) for i in range(count)]


def test_the_retriever_tells_source_relevance_and_features(pipeline: Pipeline):
    found = R2AGRetriever(pipeline=pipeline, k=3).invoke(QUESTION)
    answer = pipeline.ask(QUESTION, k=3, max_new_tokens=1)
    assert [document.page_content for document in found] == [scored.document.text for scored in answer.documents]
    for document, scored in zip(found, answer.documents, strict=True):
        assert document.metadata["source"] == scored.document.source
        assert document.metadata["relevance_probability"] == pytest.approx(scored.relevance_probability)
        assert document.metadata["features"] == pytest.approx(scored.features)
    assert asyncio.run(R2AGRetriever(pipeline=pipeline, k=3).ainvoke(QUESTION)) == found


def test_the_compressor_orders_by_probability_and_keeps_what_passes(pipeline: Pipeline):
    documents = given(5)
    ranked = R2AGCompressor(pipeline=pipeline).compress_documents(documents, QUESTION)
    scores = [document.metadata["relevance_probability"] for document in ranked]
    assert len(ranked) == 5
    assert all(first >= second for first, second in pairwise(scores))
    assert {document.metadata["id"] for document in ranked} == set(range(5))
    assert all(list(document.metadata) == ["id"] for document in documents)
    passing = R2AGCompressor(pipeline=pipeline, threshold=scores[1]).compress_documents(documents, QUESTION)
    assert passing == ranked[:2]
    assert R2AGCompressor(pipeline=pipeline, top_n=1).compress_documents(documents, QUESTION) == ranked[:1]
    assert R2AGCompressor(pipeline=pipeline).compress_documents([], QUESTION) == []


def test_contextual_compression(pipeline: Pipeline):
    classic = pytest.importorskip("langchain_classic.retrievers", reason="needs langchain-classic")
    retriever = classic.ContextualCompressionRetriever(
        base_compressor=R2AGCompressor(pipeline=pipeline, top_n=2), base_retriever=R2AGRetriever(pipeline=pipeline)
    )
    assert len(retriever.invoke(QUESTION)) == 2


def test_the_compressor_refuses_what_it_cannot_use(pipeline: Pipeline):
    with pytest.raises(InputError, match="9 documents and this adapter takes 1 to 8"):
        R2AGCompressor(pipeline=pipeline).compress_documents(given(9), QUESTION)
    with pytest.raises(ValueError, match="less than or equal to 1"):
        R2AGCompressor(pipeline=pipeline, threshold=2)


def test_the_chat_model_answers_as_the_pipeline_does(chat: R2AGChatModel, pipeline: Pipeline):
    expected = pipeline.ask(QUESTION, max_new_tokens=8)
    message = chat.invoke(QUESTION)
    assert message.content == expected.text
    assert message.response_metadata["r2ag"]["citations"] == list(expected.citations)
    assert message.response_metadata["r2ag"]["models"]["llm"] == "tiny-llm"
    assert message.usage_metadata["input_tokens"] == expected.usage["prompt_tokens"]
    assert asyncio.run(chat.ainvoke(QUESTION)).content == expected.text


def test_streams_are_the_answer_in_pieces(chat: R2AGChatModel):
    whole = chat.invoke(QUESTION)

    async def collect() -> list[AIMessage]:
        return [chunk async for chunk in chat.astream(QUESTION)]

    for chunks in (list(chat.stream(QUESTION)), asyncio.run(collect())):
        assert len(chunks) > 2
        message = sum(chunks[1:], chunks[0])
        assert message.content == whole.content
        assert message.usage_metadata == whole.usage_metadata
        assert message.response_metadata["r2ag"]["answer"] == whole.response_metadata["r2ag"]["answer"]


def test_documents_of_a_call_take_the_place_of_the_pipelines(chat: R2AGChatModel):
    facts = chat.invoke(QUESTION, documents=given(3)).response_metadata["r2ag"]
    assert [document["text"] for document in facts["documents"]] == [one.page_content for one in given(3)]


def test_nothing_found_is_said(chat: R2AGChatModel, abstaining: Pipeline):
    empty = chat.invoke(QUESTION, documents=[])
    assert empty.content == NOTHING_FOUND
    assert empty.response_metadata["r2ag"]["abstained"]
    quiet = R2AGChatModel(pipeline=abstaining)
    assert quiet.invoke(QUESTION).content == NOTHING_FOUND
    assert "".join(chunk.text for chunk in quiet.stream(QUESTION)) == NOTHING_FOUND


def test_the_last_human_message_is_the_question_and_what_precedes_it_its_context(chat: R2AGChatModel):
    messages = [
        SystemMessage("Be brief."),
        HumanMessage("Who built the bridge of Wexmoor?"),
        AIMessage("A mason"),
        HumanMessage("When did he build it?"),
    ]
    asked = chat.invoke(messages).response_metadata["r2ag"]
    assert "Wexmoor" in asked["question"]
    assert "When did he build it" in asked["question"]
    alone = chat.invoke(messages[-1:]).response_metadata["r2ag"]
    assert alone["question"] == "When did he build it?"
    with_system = chat.invoke([messages[0], messages[-1]]).response_metadata["r2ag"]
    assert with_system["usage"]["prompt_tokens"] > alone["usage"]["prompt_tokens"]


@pytest.mark.parametrize(
    ("messages", "options", "sentence"),
    [
        ("  ", {}, "The question is empty"),
        ([AIMessage("Hello")], {}, "There is no user message"),
        (QUESTION, {"stop": ["\n"]}, "know no stop"),
        (QUESTION, {"temperature": 1.0}, "know no temperature"),
        ([HumanMessage([{"type": "image", "url": "https://example.org/a.png"}])], {}, "reads text alone"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(chat: R2AGChatModel, messages, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        chat.invoke(messages, **options)
    with pytest.raises(ValueError, match=sentence):
        list(chat.stream(messages, **options))


def test_a_chain_streams_from_its_retriever_to_its_answer(chat: R2AGChatModel, pipeline: Pipeline):
    find = RunnablePassthrough.assign(documents=itemgetter("question") | R2AGRetriever(pipeline=pipeline, k=3))
    chain = find | (lambda found: itemgetter("question") | chat.bind(documents=found["documents"]))
    expected = pipeline.ask(QUESTION, k=3, max_new_tokens=8).text
    assert chain.invoke({"question": QUESTION}).content == expected
    assert len([chunk for chunk in chain.stream({"question": QUESTION}) if chunk.content]) > 1
