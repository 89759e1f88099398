"""The official client's chat and completions against the library's own answers."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from r2ag.answering.follow_ups import NEW_TOKENS, REWRITE, Exchange, FollowUp
from r2ag.server.service import Service
from r2ag.types import NOTHING_FOUND, Document
from tests.server.conftest import QUESTION, Running, running
from tests.test_pipeline import new_pipeline
from tests.tiny import some_documents

USER = [{"role": "user", "content": QUESTION}]


def chat(server: Running, messages: list[dict[str, Any]] | None = None, **options: Any) -> Any:
    asked = USER if messages is None else messages
    return server.openai().chat.completions.create(model="r2ag", messages=asked, **options)


def refused(server: Running, **options: Any) -> openai.BadRequestError:
    with pytest.raises(openai.BadRequestError) as caught:
        chat(server, **options)
    assert caught.value.body["type"] == "invalid_request_error"
    return caught.value


def test_an_answer_is_the_librarys(server: Running) -> None:
    expected = server.pipeline.ask(QUESTION)
    response = chat(server)
    (choice,) = response.choices
    assert choice.message.content == expected.text != ""
    assert choice.finish_reason in ("stop", "length")
    usage = response.usage
    assert (usage.prompt_tokens, usage.completion_tokens) == tuple(expected.usage.values())
    assert usage.total_tokens == sum(expected.usage.values())
    facts = response.r2ag
    assert facts["citations"] == list(expected.citations)
    assert not facts["abstained"]
    shown = [(d["rank"], d["text"], d["used"]) for d in facts["documents"]]
    assert shown == [(d.rank, d.document.text, d.used) for d in expected.documents]
    assert [set(d["features"]) for d in facts["documents"]] == [{"relevance", "precedent", "neighbour"}] * 5
    probabilities = [d["relevance_probability"] for d in facts["documents"]]
    assert probabilities == pytest.approx([d.relevance_probability for d in expected.documents], abs=1e-5)


def test_cited_documents_are_annotations(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("r2ag.answering.answers.cite", lambda text, scored, threshold: (2,))
    given = [{"text": "The bridge.", "id": "a"}, {"text": "The town.", "title": "Town", "id": "b"}]
    message = chat(server, extra_body={"documents": given}).choices[0].message
    (annotation,) = message.annotations
    assert annotation.type == "url_citation"
    citation = annotation.url_citation
    assert (citation.title, citation.url) == ("Town", "b")
    assert (citation.start_index, citation.end_index) == (0, len(message.content))


def test_a_stream_is_the_same_answer_in_pieces(server: Running) -> None:
    whole = chat(server)
    chunks = list(chat(server, stream=True, stream_options={"include_usage": True}))
    *pieces, last, usage = chunks
    assert pieces[0].choices[0].delta.role == "assistant"
    texts = [chunk.choices[0].delta.content for chunk in pieces]
    assert "".join(texts) == whole.choices[0].message.content
    assert len(texts) > 5
    assert last.choices[0].finish_reason == whole.choices[0].finish_reason
    assert last.r2ag["documents"] == whole.r2ag["documents"]
    assert usage.choices == []
    assert usage.usage == whole.usage
    assert len({chunk.id for chunk in chunks}) == 1
    without = list(chat(server, stream=True))
    assert [chunk.usage for chunk in without] == [None] * (len(chunks) - 1)


def test_tokens_stop_and_system_are_honoured(server: Running) -> None:
    whole = chat(server).choices[0].message.content
    short = chat(server, max_tokens=3)
    assert (short.usage.completion_tokens, short.choices[0].finish_reason) == (3, "length")
    assert chat(server, max_completion_tokens=3).choices[0].message.content == short.choices[0].message.content
    stop = whole[10:13]
    stopped = chat(server, stop=["never", stop])
    assert stopped.choices[0].message.content == whole.partition(stop)[0].rstrip()
    assert stopped.choices[0].finish_reason == "stop"
    preface = chat(server, [{"role": "system", "content": "Answer as a mason."}, *USER])
    assert preface.choices[0].message.content == server.pipeline.ask(QUESTION, system="Answer as a mason.").text
    assert preface.usage.prompt_tokens > chat(server).usage.prompt_tokens


def test_a_seed_draws_the_same_again(server: Running) -> None:
    drawn = [chat(server, temperature=1.5, top_p=0.95, seed=seed).choices[0].message.content for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert (
        chat(server, temperature=2, top_p=0, seed=1).choices[0].message.content
        == chat(server).choices[0].message.content
    )


def test_own_documents_are_read_in_place_of_the_servers(server: Running) -> None:
    documents = [Document("The mason fell.", "Mason", "one"), Document("The river rose.", source="two")]
    given = [{"text": "The mason fell.", "title": "Mason", "id": "one"}, {"text": "The river rose.", "id": "two"}]
    response = chat(server, extra_body={"documents": given})
    assert response.choices[0].message.content == server.pipeline.ask(QUESTION, documents).text
    assert [d["id"] for d in response.r2ag["documents"]] == ["one", "two"]
    assert len(chat(server, extra_body={"documents": ["a text", "another"], "k": 1}).r2ag["documents"]) == 1
    assert len(chat(server, extra_body={"k": 2}).r2ag["documents"]) == 2


def test_a_follow_up_is_made_to_stand_alone(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    # The examples of how to rewrite take more than the tiny LLM's window; its rotary positions go on.
    monkeypatch.setattr(server.pipeline.reader, "context_window", 4096)
    before = Exchange("Who built the bridge?", "A mason")
    messages = [
        {"role": "user", "content": before.question},
        {"role": "assistant", "content": before.answer},
        {"role": "user", "content": [{"type": "text", "text": "When did he fall?"}]},
    ]
    follow_up = FollowUp.of("When did he fall?", [before])
    assert follow_up is not None
    answer = chat(server, messages)
    # A random LLM writes nothing sound.
    assert answer.r2ag["question"] == follow_up.settled("") == "Who built the bridge? When did he fall?"
    reader = server.pipeline.reader
    prompt = follow_up.prompt(reader)
    assert prompt is not None
    (rewriting,) = reader.engine.generate(reader.embed([prompt], None), NEW_TOKENS, stop=REWRITE.stop)
    alone = chat(server, [{"role": "user", "content": answer.r2ag["question"]}]).usage
    assert answer.usage.prompt_tokens == alone.prompt_tokens + len(prompt)
    assert answer.usage.completion_tokens == alone.completion_tokens + rewriting.completion_tokens > 0
    assert chat(server, [*messages[:2], *USER]).r2ag["question"] == QUESTION


@pytest.mark.parametrize("count", [6_660, 1_000_000])
def test_a_follow_up_to_what_is_too_long_to_join_is_asked_alone(server: Running, count: int) -> None:
    messages = [
        {"role": "user", "content": "he " * count},
        {"role": "user", "content": "When did the mason fall there?"},
    ]
    assert chat(server, messages, max_tokens=1).r2ag["question"] == "When did the mason fall there?"


def test_what_nothing_is_found_for_is_said_in_words() -> None:
    pipeline = new_pipeline(threshold=1.1)
    pipeline.add(some_documents(3))
    with running(Service.of(pipeline)) as server:
        response = chat(server)
        assert response.choices[0].message.content == NOTHING_FOUND
        assert response.r2ag["abstained"]
        assert response.usage.completion_tokens == 0
        assert "".join(c.choices[0].delta.content or "" for c in chat(server, stream=True)) == NOTHING_FOUND
        assert not chat(server, extra_body={"abstain": False}).r2ag["abstained"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n": 2}, "one answer to a request; leave n out"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "calls no tools"),
        ({"response_format": {"type": "json_object"}}, "answers are plain text"),
        ({"logprobs": True}, "probabilities of tokens"),
        ({"frequency_penalty": 0.5}, "repetition"),
        ({"logit_bias": {"5": 1}}, "no token is favoured"),
        ({"max_tokens": 100_000}, "writes at most 1024"),
        ({"temperature": 3}, "temperature"),
        ({"stop": [""]}, "stop"),
        ({"extra_body": {"prompt_embeds": "AAAA"}}, "prompt_embeds"),
        ({"extra_body": {"documents": ["x"] * 10_000}}, "There are 10,000 documents"),
        ({"extra_body": {"documents": ["x" * 60_000]}}, "has 60,000 characters"),
        ({"extra_body": {"k": 30}}, "takes 1 to 8 documents"),
        ({"extra_body": {"where": "a = b"}}, "Only a store's documents"),
        ({"messages": [{"role": "user", "content": " "}]}, "The question is empty"),
        ({"messages": [{"role": "user", "content": "x" * 30_000}]}, "has 30,000 characters"),
        ({"messages": [{"role": "system", "content": "x" * 60_000}, *USER]}, "system messages have 60,000 characters"),
        ({"messages": [{"role": "user", "content": "word " * 2000}]}, "ask a shorter question"),
        ({"messages": [{"role": "assistant", "content": "hi"}]}, "last message must be the user's"),
        ({"messages": [{"role": "tool", "content": "hi", "tool_call_id": "1"}]}, "calls no tools"),
        ({"messages": []}, "messages"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "of type 'image_url', and this server reads text alone",
        ),
    ],
)
def test_what_cannot_be_honoured_is_refused_in_a_sentence(server: Running, options: dict[str, Any], words: str) -> None:
    for stream in (False, True):
        assert words in refused(server, stream=stream, **options).body["message"]


def test_fields_that_change_nothing_are_taken(server: Running) -> None:
    harmless = {"n": 1, "tools": [], "response_format": {"type": "text"}, "presence_penalty": 0.0, "user": "me"}
    assert chat(server, **harmless).choices[0].message.content


def test_an_unknown_model_is_not_found(server: Running) -> None:
    with pytest.raises(openai.NotFoundError, match="There is no model 'gpt-9'") as caught:
        server.openai().chat.completions.create(model="gpt-9", messages=USER)  # type: ignore[arg-type]
    assert caught.value.code == "model_not_found"


def test_completions_answer_the_prompt(server: Running) -> None:
    client = server.openai().completions
    expected = chat(server)
    response = client.create(model="r2ag", prompt=QUESTION)
    assert response.choices[0].text == expected.choices[0].message.content
    assert response.usage == expected.usage
    chunks = list(client.create(model="r2ag", prompt=QUESTION, stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].text for c in chunks if c.choices) == response.choices[0].text
    assert chunks[-1].usage == response.usage
    for wrong in ({"prompt": [1, 2]}, {"prompt": ["a", "b"]}, {"best_of": 3}, {"echo": True}, {"suffix": "x"}):
        with pytest.raises(openai.BadRequestError):
            client.create(**{"model": "r2ag", "prompt": QUESTION} | wrong)
