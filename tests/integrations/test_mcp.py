"""The official client, in this process and over the stdin and stdout of the command."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason="needs the extra mcp: make test-integrations")

from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult, TextContent

from r2ag.integrations.mcp import new_server
from r2ag.pipeline import Pipeline
from r2ag.types import NOTHING_FOUND
from tests.cli.conftest import Command, Tiny
from tests.integrations.conftest import QUESTION


def during(server: object, use: Callable[[Client], Coroutine[Any, Any, Any]]) -> Any:
    """What `use` gives, with a client of the server."""

    async def connected() -> Any:
        async with Client(server, read_timeout_seconds=300) as client:
            return await use(client)

    return asyncio.run(connected())


def called(pipeline: Pipeline, tool: str, **arguments: object) -> CallToolResult:
    return during(new_server(pipeline), lambda client: client.call_tool(tool, arguments))


def sentence(result: CallToolResult) -> str:
    assert result.is_error
    assert isinstance(result.content[0], TextContent)
    return result.content[0].text


def test_tools_say_what_they_do_and_take(pipeline: Pipeline):
    tools = {tool.name: tool for tool in during(new_server(pipeline), lambda client: client.list_tools()).tools}
    assert set(tools) == {"search", "ask"}
    for tool in tools.values():
        assert tool.description
        assert tool.input_schema["required"] == ["question"]
        assert set(tool.input_schema["properties"]) == {"question", "k"}
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint


def test_search_gives_passages_by_probability(pipeline: Pipeline):
    result = called(pipeline, "search", question=QUESTION, k=3)
    documents = result.structured_content["documents"]
    scores = [document["relevance_probability"] for document in documents]
    assert len(documents) == 3
    assert all(first >= second for first, second in pairwise(scores))
    assert json.loads(result.content[0].text) == result.structured_content


def test_ask_answers_as_the_pipeline_does(pipeline: Pipeline):
    expected = pipeline.ask(QUESTION, k=3)
    fields = called(pipeline, "ask", question=QUESTION, k=3).structured_content
    assert fields["answer"] == expected.text
    assert fields["citations"] == list(expected.citations)
    assert [document["text"] for document in fields["documents"]] == [one.document.text for one in expected.documents]


def test_nothing_found_is_said(abstaining: Pipeline):
    fields = called(abstaining, "ask", question=QUESTION).structured_content
    assert fields["abstained"]
    assert fields["answer"] == NOTHING_FOUND


@pytest.mark.parametrize("tool", ["search", "ask"])
def test_what_cannot_be_used_is_refused_in_a_sentence(pipeline: Pipeline, tool: str):
    assert "The question is empty; type a question." in sentence(called(pipeline, tool, question=" "))
    assert "this adapter takes 1 to 8 documents" in sentence(called(pipeline, tool, question=QUESTION, k=9))
    assert "k" in sentence(called(pipeline, tool, question=QUESTION, k=0))
    assert "question" in sentence(called(pipeline, tool))


def test_the_command_serves_over_stdin_and_stdout(tiny: Tiny):
    async def use(client: Client) -> list[CallToolResult]:
        return [
            await client.call_tool("search", {"question": "Which bridge?", "k": 2}),
            await client.call_tool("ask", {"question": "Which bridge?", "k": 2}),
            await client.call_tool("ask", {"question": ""}),
        ]

    arguments = ["-m", "r2ag.cli", "mcp", "--docs", str(tiny.documents), "--adapter", str(tiny.adapter)]
    searched, asked, refused = during(StdioServerParameters(command=sys.executable, args=arguments), use)
    assert len(searched.structured_content["documents"]) == 2
    assert all(Path(found["source"]).is_file() for found in searched.structured_content["documents"])
    assert asked.structured_content["question"] == "Which bridge?"
    assert "The question is empty" in sentence(refused)


def test_bad_arguments_are_one_sentence(r2ag: Command, tiny: Tiny, tmp_path: Path):
    assert "--docs PATH" in r2ag.refused("mcp")
    assert "no store" in r2ag.refused("mcp", "--store", tmp_path / "none").lower()
    assert "can't go together" in r2ag.refused("mcp", "--docs", tiny.documents, "--store", tmp_path)
