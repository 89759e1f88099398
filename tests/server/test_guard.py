"""Who may ask, by what name, from where, and how much."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from dataclasses import replace

import httpx
import openai
import pytest

from r2ag.server.guard import Limits, load_keys
from r2ag.server.service import Service
from tests.server.conftest import QUESTION, Running, new_store_service, running
from tests.test_pipeline import new_pipeline
from tests.tiny import some_documents

READ, WRITE = "read-key-of-24-characters", "write-key-of-24-characters"
ASK = {"model": "r2ag", "prompt": QUESTION, "max_tokens": 1}


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("keyed")
    file = folder / "keys"
    file.write_text(f"# ours\nread {READ}\n\nwrite {WRITE}\n")
    with running(new_store_service(folder / "store"), load_keys(file, {})) as server:
        yield server


def test_without_a_key_only_health_documentation_and_the_page_are_open(keyed: Running) -> None:
    http = keyed.http()
    assert [http.get(path).status_code for path in ("/health", "/ready", "/docs", "/openapi.json", "/")] == [200] * 5
    for path in ("/v1/models", "/v1/documents", "/metrics", "/docsx", "/pages"):
        response = http.get(path)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
    with pytest.raises(openai.AuthenticationError, match="needs an API key"):
        keyed.openai("wrong").models.list()
    for scheme in ("Basic", "Token"):
        assert http.get("/v1/models", headers={"Authorization": f"{scheme} {READ}"}).status_code == 401


def test_a_key_for_reading_writes_nothing(keyed: Running) -> None:
    assert keyed.openai(READ).models.list().data
    file = {"file": ("a.md", b"# A\n\nText.")}
    http = keyed.http(headers={"Authorization": f"Bearer {READ}"})
    assert http.post("/v1/documents", files=file).status_code == 403
    assert http.delete("/v1/documents/doc-1").status_code == 403
    http = keyed.http(headers={"Authorization": f"bearer {WRITE}"})
    assert http.post("/v1/documents", files=file).status_code == 202
    assert http.get("/v1/models").status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:80", 200), ("127.0.0.1", 200), ("[::1]:8000", 200), ("evil.example:80", 421), ("", 421), ("[", 421)],
)
def test_only_known_names_are_answered_to(server: Running, host: str, status: int) -> None:
    """A page whose name is made to point at this machine (DNS rebinding) sends that name."""
    assert server.http(headers={"Host": host}).get("/v1/models").status_code == status


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost:evil", "http://[::1"]
)
def test_pages_from_elsewhere_are_refused(server: Running, origin: str) -> None:
    response = server.http(headers={"Origin": origin}).post("/v1/completions", json=ASK)
    assert response.status_code == 403
    assert "Pages from elsewhere" in response.json()["error"]["message"]


def test_its_own_pages_may_ask(server: Running) -> None:
    assert server.http(headers={"Origin": server.url}).post("/v1/completions", json=ASK).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_what_a_form_can_send_is_no_request(server: Running, kind: str) -> None:
    content = '{"model": "r2ag", "prompt": "Which bridge?"}'
    response = server.http(headers={"Content-Type": kind}).post("/v1/completions", content=content)
    assert response.status_code == 400
    assert "sent as application/json" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"model": NaN}', b"[" * 100_000, b'{"prompt": "\\ud800"}'],
)
def test_what_is_no_request_is_refused_in_openais_form(server: Running, content: bytes) -> None:
    response = server.http(headers={"Content-Type": "application/json"}).post("/v1/completions", content=content)
    assert response.status_code == 400
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}


def test_unknown_addresses_and_methods_have_openais_form(server: Running) -> None:
    assert server.http().get("/v2").json()["error"]["type"] == "invalid_request_error"
    response = server.http().get("/v1/completions")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


def bounded_service() -> Service:
    pipeline = new_pipeline()
    pipeline.add(some_documents(2))
    return Service.of(pipeline, limits=replace(Limits(), body_bytes=10_000, body_s=1.0))


def test_bodies_are_bounded_in_size_and_time() -> None:
    with running(bounded_service()) as server:
        large = server.http().post("/v1/completions", json={**ASK, "prompt": "x" * 20_000})
        assert large.status_code == 413

        def endless() -> Iterator[bytes]:
            for _ in range(1_000_000):
                yield b" " * 1000

        try:
            response = server.http().post(
                "/v1/completions", content=endless(), headers={"Content-Type": "application/json"}
            )
            assert response.status_code == 413
            assert "larger than 10,000 bytes" in response.json()["error"]["message"]
        except httpx.TransportError:
            pass  # it hung up on us while we were still sending
        assert b" 408 " in slowly_sent(server)
        assert server.http().post("/v1/completions", json=ASK).status_code == 200


def slowly_sent(server: Running) -> bytes:
    """What a client hears that sends its body a byte at a time."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as client:
        client.sendall(
            b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 5000\r\n\r\n"
        )
        try:
            for _ in range(30):
                client.sendall(b" ")
                if select.select([client], [], [], 0.1)[0]:
                    break
        except OSError:
            pass
        return client.recv(1000)
