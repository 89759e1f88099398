"""Servers that are down, silent, no vLLM, or break off; each is a real one on a socket, and none needs vLLM."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

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
    """Lists its model, and answers all else with the server's `reply`; None says nothing."""

    def handle(self) -> None:
        line = self.rfile.readline()
        length = 0
        while (header := self.rfile.readline()).strip():
            if header.lower().startswith(b"content-length:"):
                length = int(header.split(b":")[1])
        self.rfile.read(length)
        reply = whole(MODELS) if b"/models" in line and self.server.lists else self.server.reply  # type: ignore[attr-defined]
        if reply is None:
            time.sleep(3)
        else:
            self.wfile.write(reply)


def whole(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


@contextmanager
def server(reply: bytes | None, lists: bool = True) -> Iterator[str]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as listening:
        listening.reply, listening.lists = reply, lists  # type: ignore[attr-defined]
        listening.daemon_threads = True
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_address[1]}/v1"
        listening.shutdown()
        thread.join()


def engine(url: str, **options: object) -> VLLMEngine:
    tokenizer = tiny_tokenizer()
    return VLLMEngine(url, tokenizer, int(tokenizer.eos_token_id), **options)  # type: ignore[arg-type]


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
        (STREAM + b'data: {"choices": [{"text": "a", "finish_reason": null}]}\n\n', "did not stream as vLLM does"),
        (STREAM + b"data: {frob\n\n", "did not stream as vLLM does"),
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
        engine(url, timeout=httpx.Timeout(0.3)).generate(PROMPT, 8)
    assert caught.value.timed_out
    with pytest.raises(EngineError, match=r"can't be reached \(.+\); is vLLM running there"):
        engine("http://127.0.0.1:9/v1")


@pytest.mark.parametrize("body", [b"", b"[]", b'{"data": []}', b'{"data": [{"id": "gpt"}]}', b"<html>"])
def test_a_server_that_is_no_vllm_is_refused(body: bytes) -> None:
    with server(whole(body), lists=False) as url, pytest.raises(EngineError, match="did not answer as vLLM does"):
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
