"""LlamaIndex's own interfaces, around tiny models."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

pytest.importorskip("llama_index.core", reason="needs the extra llama-index: make test-integrations")

from llama_index.core.base.llms.types import ChatMessage, ImageBlock, MessageRole
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle, TextNode

from r2ag.errors import InputError
from r2ag.integrations.llama_index import R2AGLLM, R2AGPostprocessor, R2AGQueryEngine
from r2ag.pipeline import Pipeline
from r2ag.types import NOTHING_FOUND
from tests.integrations.conftest import QUESTION


def given(count: int) -> list[NodeWithScore]:
    texts = [f"The bridge number {i} fell in {1400 + i}." for i in range(count)]
    return [
        NodeWithScore(node=TextNode(text=text, metadata={"file_path": f"{i}.md"}), score=0.5)
        for i, text in enumerate(texts)
    ]


class Fixed(BaseRetriever):
    """Finds the same nodes for every query."""

    def __init__(self, nodes: list[NodeWithScore]) -> None:
        super().__init__()
        self.nodes = nodes

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self.nodes


@pytest.fixture
def llm(pipeline: Pipeline) -> R2AGLLM:
    return R2AGLLM(pipeline=pipeline, max_new_tokens=8)


def test_the_postprocessor_scores_orders_and_cuts(pipeline: Pipeline):
    nodes = given(5)
    ranked = R2AGPostprocessor(pipeline=pipeline).postprocess_nodes(nodes, query_str=QUESTION)
    assert len(ranked) == 5
    assert all(first.score >= second.score for first, second in pairwise(ranked))
    assert {node.node.node_id for node in ranked} == {node.node.node_id for node in nodes}
    cut = R2AGPostprocessor(pipeline=pipeline, cutoff=ranked[1].score)
    assert cut.postprocess_nodes(nodes, query_str=QUESTION) == ranked[:2]
    assert asyncio.run(cut.apostprocess_nodes(nodes, query_str=QUESTION)) == ranked[:2]
    one = R2AGPostprocessor(pipeline=pipeline, top_n=1)
    assert one.postprocess_nodes(nodes, query_str=QUESTION) == ranked[:1]
    assert one.postprocess_nodes([], query_str=QUESTION) == []


def test_an_index_keeps_its_nodes_and_prompts_show_no_figures(pipeline: Pipeline):
    nodes = given(2)
    ranked = R2AGPostprocessor(pipeline=pipeline).postprocess_nodes(nodes, query_str=QUESTION)
    assert all(node.score == 0.5 and list(node.node.metadata) == ["file_path"] for node in nodes)
    for node in ranked:
        assert node.node.metadata["relevance_probability"] == node.score
        assert "relevance" not in node.node.get_content(MetadataMode.LLM)
        assert "relevance" not in node.node.get_content(MetadataMode.EMBED)


def test_the_postprocessor_refuses_what_it_cannot_use(pipeline: Pipeline):
    with pytest.raises(InputError, match="pass one as query_str"):
        R2AGPostprocessor(pipeline=pipeline).postprocess_nodes(given(1))
    with pytest.raises(InputError, match="9 documents and this adapter takes 1 to 8"):
        R2AGPostprocessor(pipeline=pipeline).postprocess_nodes(given(9), query_str=QUESTION)
    with pytest.raises(ValueError, match="less than or equal to 1"):
        R2AGPostprocessor(pipeline=pipeline, cutoff=2)


def test_the_llm_answers_as_the_pipeline_does(llm: R2AGLLM, pipeline: Pipeline):
    expected = pipeline.ask(QUESTION, max_new_tokens=8).text
    messages = [ChatMessage(QUESTION)]
    assert llm.complete(QUESTION).text == expected
    assert llm.chat(messages).message.content == expected
    assert asyncio.run(llm.acomplete(QUESTION)).text == expected
    assert llm.chat(messages).raw["models"]["llm"] == llm.metadata.model_name == "tiny-llm"


def test_streams_are_the_answer_in_pieces(llm: R2AGLLM):
    async def collect() -> list[tuple[str, str]]:
        return [(piece.delta, piece.text) async for piece in await llm.astream_complete(QUESTION)]

    expected = llm.complete(QUESTION).text
    for pieces in ([(piece.delta, piece.text) for piece in llm.stream_complete(QUESTION)], asyncio.run(collect())):
        assert len(pieces) > 2
        assert "".join(delta for delta, _ in pieces) == pieces[-1][1] == expected


def test_messages_before_the_question_are_its_context(llm: R2AGLLM):
    messages = [
        ChatMessage("Who built the bridge of Wexmoor?"),
        ChatMessage("A mason", role=MessageRole.ASSISTANT),
        ChatMessage("When did he build it?"),
    ]
    assert "Wexmoor" in llm.chat(messages).raw["question"]


@pytest.mark.parametrize(
    ("message", "options", "sentence"),
    [
        (ChatMessage("  "), {}, "The question is empty"),
        (ChatMessage("Hello", role=MessageRole.ASSISTANT), {}, "There is no user message"),
        (ChatMessage(QUESTION), {"temperature": 1.0}, "know no temperature"),
        (ChatMessage(blocks=[ImageBlock(url="https://example.org/a.png")]), {}, "reads text alone"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(llm: R2AGLLM, message, options, sentence):
    with pytest.raises(InputError, match=sentence):
        llm.chat([message], **options)


def test_the_query_engine_answers_from_a_retrievers_nodes(pipeline: Pipeline):
    nodes = given(4)
    engine = R2AGQueryEngine(pipeline, Fixed(nodes), max_new_tokens=8)
    response = engine.query(QUESTION)
    assert response.response == response.metadata["answer"]
    assert [node.node.node_id for node in response.source_nodes] == [node.node.node_id for node in nodes]
    assert [document["source"] for document in response.metadata["documents"]] == ["0.md", "1.md", "2.md", "3.md"]
    assert [node.score for node in response.source_nodes] == [
        document["relevance_probability"] for document in response.metadata["documents"]
    ]
    assert asyncio.run(engine.aquery(QUESTION)).response == response.response


def test_the_query_engine_answers_from_the_pipelines_documents(pipeline: Pipeline):
    response = R2AGQueryEngine(pipeline, k=3, max_new_tokens=8).query(QUESTION)
    assert response.response == pipeline.ask(QUESTION, k=3, max_new_tokens=8).text
    assert len(response.source_nodes) == 3


def test_nothing_found_is_said(pipeline: Pipeline, abstaining: Pipeline):
    assert str(R2AGQueryEngine(pipeline, Fixed([])).query(QUESTION)) == NOTHING_FOUND
    assert str(R2AGQueryEngine(abstaining).query(QUESTION)) == NOTHING_FOUND
