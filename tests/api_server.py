"""A real HTTP server that speaks OpenAI's API, and behaves and misbehaves as told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from r2ag.encoder.encoder import TextEncoder

Respond = Callable[[dict[str, Any]], dict[str, Any]]
SILENCE = 0
"""In place of a status: the connection is held, then closed without a word."""


class Server(ThreadingHTTPServer):
    """Answers a request with what `respond` makes of it; `answers` are given first, each (status, headers, body)."""

    def __init__(self, respond: Respond) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.respond = respond
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.release = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.requests.append(request | {"path": self.path})
        self.server.keys.append(self.headers.get("authorization"))
        status, headers, body = self.server.answers.pop(0) if self.server.answers else self._answer(request)
        if status == SILENCE:
            self.server.release.wait(10)
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self, request: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        return 200, {}, json.dumps(self.server.respond(request)).encode()

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def api_server(respond: Respond) -> Iterator[Server]:
    """Runs while the block lasts."""
    with Server(respond) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.release.set()
            server.shutdown()
            thread.join()


def chat_server(respond: Callable[[str], str]) -> AbstractContextManager[Server]:
    """Answers a message with a message."""

    def message(request: dict[str, Any]) -> dict[str, Any]:
        content = respond(request["messages"][0]["content"])
        usage = {"prompt_tokens": 11, "completion_tokens": 3}
        return {"choices": [{"message": {"content": content}}], "usage": usage}

    return api_server(message)


def vectors_of(encoder: TextEncoder) -> Respond:
    """Answers texts with an encoder's vectors, times three and in another order: their own is in the indices."""

    def vectors(request: dict[str, Any]) -> dict[str, Any]:
        encoded = 3 * encoder.encode_queries(request["input"])
        data = [{"index": index, "embedding": vector.tolist()} for index, vector in enumerate(encoded)]
        return {"data": data[::-1]}

    return vectors
