"""Servers that are down, silent, no vLLM, or break off; each is a real one on a socket, and none needs vLLM."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import torch

from r2ag.engines.vllm import VLLMEngine
from r2ag.errors import EngineError, InputError
from r2ag.method.embeddings import MixedEmbeddings
from tests.tiny import HIDDEN, tiny_tokenizer

MODELS = json.dumps({"data": [{"id": "tiny", "max_model_len": 64}]}).encode()
TOKEN = json.dumps({"choices": [{"token_ids": [40], "finish_reason": None}]}).encode()
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


class Handler(socketserver.StreamRequestHandler):
    """Lists its model, and answers all else with the server's replies in turn, the last one for ever; None says
    nothing."""

    def handle(self) -> None:
        line = self.rfile.readline()
        length = 0
        while (header := self.rfile.readline()).strip():
            if header.lower().startswith(b"content-length:"):
                length = int(header.split(b":")[1])
        self.rfile.read(length)
        listening: Any = self.server
        replies: list[bytes | None] = listening.replies
        if b"/models" in line and listening.lists:
            reply: bytes | None = whole(MODELS)
        else:
            reply = replies.pop(0) if len(replies) > 1 else replies[0]
        if reply is None:
            listening.released.wait(10)
        else:
            self.wfile.write(reply)


def whole(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


@contextmanager
def server(reply: bytes | list[bytes] | None, lists: bool = True) -> Iterator[str]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as listening:
        replies = reply if isinstance(reply, list) else [reply]
        vars(listening).update(replies=replies, lists=lists, released=threading.Event(), daemon_threads=True)
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_address[1]}/v1"
        vars(listening)["released"].set()
        listening.shutdown()
        thread.join()


def engine(url: str, **options: object) -> VLLMEngine:
    tokenizer = tiny_tokenizer()
    return VLLMEngine(url, tokenizer, int(tokenizer.eos_token_id), first_pause=0.01, **options)  # type: ignore[arg-type]


PROMPT = MixedEmbeddings(torch.zeros(1, 3, HIDDEN), torch.ones(1, 3, dtype=torch.long))


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (whole(b'{"error": {"message": "You must set --enable-prompt-embeds"}}', "400 Bad Request"), "--enable-prompt"),
        (whole(b"", "401 Unauthorized"), "set OPENAI_API_KEY"),
        (b"", "broke off in the middle of an answer"),
        (STREAM, "ended in the middle of the answer"),
        (STREAM + b"data: " + TOKEN + b"\n\n", "ended in the middle of the answer"),
        (STREAM + b"data: " + TOKEN + b'\n\ndata: {"error": {"message": "out of memory"}}\n\n', "out of memory"),
        (STREAM + b"data: " + TOKEN.replace(b"null", b'"abort"') + b"\n\n", "it gave it up"),
        (
            STREAM + b'data: {"choices": [{"text": "a", "finish_reason": null}]}\n\n',
            "did not answer with tokens",
        ),
        (STREAM + b"data: {frob\n\n", "did not answer with a stream of JSON"),
        (STREAM.replace(b"Connection: close", b"Content-Length: 999") + b"data: " + TOKEN + b"\n\n", "broke off"),
    ],
)
def test_what_goes_wrong_is_said_in_a_sentence(reply: bytes, words: str) -> None:
    with server(reply) as url, pytest.raises(EngineError, match=words) as caught:
        engine(url).generate(PROMPT, 8)
    assert not caught.value.timed_out
    assert url in str(caught.value)


def test_a_silent_server_is_told_from_one_that_is_down() -> None:
    with server(None) as url, pytest.raises(EngineError, match="silent for too long") as caught:
        engine(url, timeout=httpx.Timeout(0.3, connect=10)).generate(PROMPT, 8)
    assert caught.value.timed_out
    with pytest.raises(EngineError, match=r"can't be reached \(.+\); check the address, and that the server"):
        engine("http://127.0.0.1:9/v1")


@pytest.mark.parametrize("body", [b"", b"[]", b'{"data": []}', b'{"data": [{"id": "gpt"}]}', b"<html>"])
def test_a_server_that_is_no_vllm_is_refused(body: bytes) -> None:
    with (
        server(whole(body), lists=False) as url,
        pytest.raises(EngineError, match="did not answer with a model"),
    ):
        engine(url)


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="is no address of a server"):
        engine("localhost:8001")


def test_a_listener_that_stops_the_answer_hears_no_more() -> None:
    class StopError(Exception):
        pass

    def on_text(piece: str) -> None:
        raise StopError

    pieces = b"".join(b"data: " + TOKEN + b"\n\n" for _ in range(4))
    with server(STREAM + pieces) as url, pytest.raises(StopError):
        engine(url).generate(PROMPT, 8, on_text)


def test_a_refusal_that_may_pass_is_tried_again_until_the_answer_begins() -> None:
    busy = whole(b'{"error": {"message": "busy"}}', "503 Service Unavailable")
    end = b"data: " + TOKEN.replace(b"null", b'"length"') + b"\n\n"
    with server([busy, busy, STREAM + end]) as url, engine(url) as client:
        (generation,) = client.generate(PROMPT, 8)
    assert (generation.completion_tokens, generation.finish_reason) == (1, "length")
    broken = STREAM.replace(b"Connection: close", b"Content-Length: 999") + b"data: " + TOKEN + b"\n\n"
    with server([broken, STREAM + end]) as url, pytest.raises(EngineError, match="broke off"):
        engine(url).generate(PROMPT, 8)


def test_an_endless_line_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("r2ag.io.http.MAX_RESPONSE_BYTES", 1000)
    with server(STREAM + b"data: {" + b" " * 100_000) as url, pytest.raises(EngineError, match="more than 1,000 bytes"):
        engine(url).generate(PROMPT, 8)
