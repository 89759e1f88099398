"""A real HTTP server with OpenAI's chat API, which behaves and misbehaves as told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Server(ThreadingHTTPServer):
    """Answers a message with what `respond` makes of it; `answers` are given first, each (status, body)."""

    def __init__(self, respond: Callable[[str], str]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.respond = respond
        self.answers: list[tuple[int, bytes]] = []
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.requests.append(request | {"path": self.path})
        self.server.keys.append(self.headers.get("authorization"))
        content = self.server.respond(request["messages"][0]["content"])
        usage = {"prompt_tokens": 11, "completion_tokens": 3}
        said = {"choices": [{"message": {"content": content}}], "usage": usage}
        status, body = self.server.answers.pop(0) if self.server.answers else (200, json.dumps(said).encode())
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def chat_server(respond: Callable[[str], str]) -> Iterator[Server]:
    """Runs while the block lasts."""
    with Server(respond) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
