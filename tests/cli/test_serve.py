"""The command itself: what it refuses, how it ends, what it leaves behind."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

import httpx
import pytest

from tests.cli.conftest import Command, Tiny

KEY = "a-key-of-21-characters"


@dataclass
class Process:
    """`r2ag serve` at work, and what it has said so far on stderr."""

    popen: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    url: str = ""

    def listen(self) -> None:
        assert self.popen.stderr is not None
        for line in self.popen.stderr:
            self.lines.append(line)
            if found := re.match(r"Serving at (http://\S+)/v1", line):
                self.url = found[1]

    @property
    def log(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.lines if line.startswith("{")]


@contextmanager
def serving(*arguments: object) -> Iterator[Process]:
    from tests.server.conftest import eventually

    command = [sys.executable, "-m", "r2ag.cli", "serve", "--port", "0", *map(str, arguments)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as popen:
        process = Process(popen)
        listening = Thread(target=process.listen)
        listening.start()
        try:
            eventually(lambda: bool(process.url) or popen.poll() is not None, 300)
            assert process.url, process.lines
            eventually(lambda: _answers(process.url))
            yield process
        finally:
            popen.kill()
            listening.join()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ready").status_code == 200
    except httpx.TransportError:
        return False


def ask(url: str, **fields: object) -> httpx.Response:
    body = {"model": "r2ag", "prompt": "Which bridge?", "max_tokens": 8, **fields}
    return httpx.post(f"{url}/v1/completions", json=body, timeout=120)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--docs PATH… or --store DIR"),
        (["--docs", "{documents}", "--store", "{missing}"], "--docs and --store can't go together"),
        (["--docs", "{missing}"], "There is no file or folder"),
        (["--docs", "{documents}", "--finder", "bm25"], "need --store DIR"),
        (["--docs", "{documents}", "--uploads", "{missing}"], "--uploads needs --store DIR"),
        (["--store", "{documents}/bridge.md"], "is a file"),
        (["--docs", "{documents}", "--host", "0.0.0.0"], "there are no API keys; name a file of them with --keys"),
        (["--docs", "{documents}", "--host", "192.0.2.1", "--keys", "{keys}"], "can't be listened on"),
        (["--docs", "{documents}", "--keys", "{missing}"], "can't be read"),
        (["--docs", "{documents}", "--keys", "{weak}"], "too easily guessed"),
        (["--docs", "{documents}", "--keys", "{records}"], "is no key"),
        (["--docs", "{documents}", "--port", "99999"], "--port"),
        (["--docs", "{documents}", "--engine", "vllm"], "add --engine-url"),
        (["--docs", "{documents}", "--engine-url", "http://127.0.0.1:9/v1"], "is for --engine vllm"),
        (["--docs", "{documents}", "--engine", "vllm", "--engine-url", "127.0.0.1"], "is no address of a server"),
        (
            ["--docs", "{documents}", "--engine", "vllm", "--engine-url", "http://127.0.0.1:9/v1"],
            "check the address, and that the server is running",
        ),
    ],
)
def test_what_cannot_be_served_is_said_in_a_sentence(
    r2ag: Command, tiny: Tiny, tmp_path: Path, arguments: list[str], words: str
) -> None:
    (tmp_path / "keys").write_text(f"read {KEY}\n")
    (tmp_path / "weak").write_text("read short\n")
    paths = {name: str(tmp_path / name) for name in ("missing", "keys", "weak")}
    paths |= {"documents": str(tiny.documents), "records": str(tiny.records)}
    given = [argument.format(**paths) for argument in arguments]
    sentence = r2ag.refused("serve", "--adapter", tiny.adapter, "--llm", tiny.llm, *given)
    assert words in sentence
    assert KEY not in sentence


def test_a_port_that_is_taken_is_named(r2ag: Command, tiny: Tiny) -> None:
    from r2ag.server.app import bind

    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert f"port {port}, can't be listened on" in r2ag.refused("serve", "--docs", tiny.documents, "--port", port)


def test_it_answers_logs_and_ends_when_told(tiny: Tiny) -> None:
    with serving("--docs", tiny.documents, "--adapter", tiny.adapter) as process:
        answer = ask(process.url).json()
        assert [d["source"] for d in answer["r2ag"]["documents"]]
        with httpx.stream(
            "POST",
            f"{process.url}/v1/completions",
            json={"model": "r2ag", "prompt": "Which bridge?", "max_tokens": 64, "stream": True},
            timeout=120,
        ) as response:
            lines = response.iter_lines()
            next(lines)
            process.popen.send_signal(signal.SIGTERM)
            assert [line for line in lines if line][-1] == "data: [DONE]"
        assert process.popen.wait(60) in (0, -signal.SIGTERM)
    requests = [line for line in process.log if line["event"] == "request" and line["path"] == "/v1/completions"]
    assert [line["status"] for line in requests] == [200, 200]
    assert all(isinstance(line["completion_tokens"], int) for line in requests)
    assert "Which bridge?" not in "".join(process.lines)


def test_a_store_survives_a_kill_and_serves_again(tiny: Tiny, tmp_path: Path) -> None:
    store = tmp_path / "store"
    arguments = ["--store", store, "--adapter", tiny.adapter, "--log-text"]
    with serving(*arguments) as process:
        for number in range(3):
            file = {"file": (f"{number}.md", f"# Bridge {number}\n\nBuilt in 147{number}.\n" * 200)}
            assert httpx.post(f"{process.url}/v1/documents", files=file).status_code == 202
        process.popen.kill()
    with serving(*arguments) as process:
        from tests.server.conftest import eventually

        def indexed() -> bool:
            found = httpx.get(f"{process.url}/v1/documents").json()["data"]
            return [entry["status"] for entry in found] == ["ready"] * 3

        eventually(indexed, 120)
        assert ask(process.url).status_code == 200
        # A request is logged once its answer has gone out, so the client may be ahead of the log.
        eventually(lambda: "Which bridge?" in "".join(process.lines))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--deadline", "inf"], "--deadline is inf; give a number of seconds."),
        (["--host", "127.0.0..1", "--keys", "{keys}"], "--host 127.0.0..1 is no name of a machine"),
    ],
)
def test_numbers_and_names_that_there_are_not(
    r2ag: Command, tiny: Tiny, tmp_path: Path, arguments: list[str], words: str
) -> None:
    (tmp_path / "keys").write_text(f"read {KEY}\n")
    given = [argument.format(keys=tmp_path / "keys") for argument in arguments]
    assert words in r2ag.refused("serve", "--docs", tiny.documents, "--adapter", tiny.adapter, *given)
