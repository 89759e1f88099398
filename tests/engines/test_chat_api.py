from __future__ import annotations

from collections.abc import Iterator

import pytest

from r2ag.engines.chat_api import ChatAPI, Completion
from r2ag.errors import InputError
from tests.api_server import Server, chat_server


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Answers with the message, backwards."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with chat_server(lambda message: f" {message[::-1]}\n") as server:
        yield server


def test_one_message_is_completed_greedily(server: Server) -> None:
    assert ChatAPI(server.url, "some-model").complete("egdirb", 7) == Completion("bridge", 11, 3)
    (request,) = server.requests
    assert request == {
        "path": "/v1/chat/completions",
        "model": "some-model",
        "messages": [{"role": "user", "content": "egdirb"}],
        "max_tokens": 7,
        "temperature": 0,
    }
    assert server.keys == [None]


def test_the_key_is_the_environments(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    ChatAPI(server.url, "some-model").complete("x", 7)
    assert server.keys == ["Bearer secret"]


def test_what_may_pass_is_tried_again(server: Server) -> None:
    server.answers = [(503, {}, b"")] * 2
    assert ChatAPI(server.url, "some-model", first_pause=0.01).complete("ab", 7).text == "ba"


def test_no_words_are_an_empty_text(server: Server) -> None:
    server.answers = [(200, {}, b'{"choices": [{"message": {"content": null}}]}')]
    assert ChatAPI(server.url, "some-model").complete("x", 7) == Completion("")


@pytest.mark.parametrize("body", [b"", b"{}", b'{"choices": []}', b'{"choices": [{"message": {"content": 3}}]}'])
def test_answers_that_are_none(server: Server, body: bytes) -> None:
    server.answers = [(200, {}, body)]
    with pytest.raises(InputError, match="did not answer with a message"):
        ChatAPI(server.url, "some-model").complete("x", 7)


def test_refusals_are_told(server: Server) -> None:
    server.answers = [(404, {}, b'{"error": {"message": "no such model"}}')]
    with pytest.raises(InputError, match=r"status 404 \(no such model\); check the address and the model's name"):
        ChatAPI(server.url, "some-model").complete("x", 7)
    with pytest.raises(InputError, match="is no address of a server"):
        ChatAPI("localhost", "some-model")
