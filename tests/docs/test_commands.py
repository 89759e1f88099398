"""The commands of each page, in its order, as they stand there: r2ag on tiny models, and what asks its server."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.chat_server import chat_server
from tests.cli.conftest import Command as Runner
from tests.cli.conftest import Tiny, r2ag
from tests.cli.test_data_own import about_topics
from tests.cli.test_serve import serving
from tests.docs.blocks import PAGES, Command, blocks, commands, whole

__all__ = ["r2ag"]

ONLY_PARSED = {
    "docs/adapters.md": "hours of training and evaluation, on data sets that no test has",
}
SERVED_AT = "http://127.0.0.1:8000"
SERVERS = ("serve", "mcp")  # don't end by themselves


def shown(page: str) -> list[Command]:
    return commands(blocks(page, whole(page)))


RUN = [page for page in PAGES if page not in ONLY_PARSED and any(c.program == "r2ag" for c in shown(page))]


@pytest.mark.parametrize("page", RUN)
def test_a_pages_commands_do_what_they_say(page: str, r2ag: Runner, tiny: Tiny, workplace: Path) -> None:
    with chat_server(about_topics) as server:
        here = {
            "http://localhost:11434/v1": server.url,
            "sentence-transformers/all-MiniLM-L6-v2": str(tiny.encoder),
        }
        for command in shown(page):
            arguments = [here.get(word, word) for word in command.words[1:]]
            if command.program != "r2ag" or arguments[0] in SERVERS:
                continue
            outcome = r2ag(*arguments)
            assert outcome.status == 0, f"{command}\n{outcome.err}"
            assert outcome.out or arguments[0] == "report", command
            for option in ("--output", "--store"):
                if option in arguments:
                    assert Path(arguments[arguments.index(option) + 1]).exists() or "--dry-run" in arguments, command


def test_pages_that_are_not_run_are_there() -> None:
    assert set(ONLY_PARSED) <= set(PAGES)


def test_the_server_starts_and_answers_as_its_page_says(workplace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What is started is each `r2ag serve` of the page; what asks it, its other blocks."""
    page = "docs/server.md"
    starts = [c.words[2:] for c in shown(page) if c.words[:2] == ("r2ag", "serve")]
    assert [words[0] for words in starts] == ["--docs", "--store"]
    with serving(*starts[1]):
        pass
    with serving(*starts[0]) as process:
        python = [block for block in blocks(page) if block.language == "python"]
        assert python
        for block in python:
            exec(compile(block.text.replace(SERVED_AT, process.url), str(block), "exec"), {})
            answer, *found = capfd.readouterr().out.rstrip("\n").splitlines()[-6:]
            assert [line.split()[0] for line in found] == ["1", "2", "3", "4", "5"], answer
        asked = [command for command in shown(page) if command.program == "curl"]
        assert asked
        assert shutil.which("curl"), "curl is what the page shows"
        for command in asked:
            line = command.text.replace(SERVED_AT, process.url)
            finished = subprocess.run(
                ["bash", "-c", line], capture_output=True, text=True, timeout=60, check=True, env=os.environ
            )
            assert finished.stdout.rstrip().endswith("data: [DONE]"), finished.stdout
