"""The commands of each page, in its order, as they stand there: r2ag on tiny models, and what asks its server."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.api_server import chat_server
from tests.cli.conftest import Command as Runner
from tests.cli.conftest import Tiny, r2ag
from tests.cli.test_data_own import about_topics
from tests.cli.test_serve import serving
from tests.docs.blocks import PAGES, Command, blocks, commands, whole

__all__ = ["r2ag"]

ONLY_PARSED = {  # what a command's page, line or words show: why it is not run
    r"^docs/(adapters|results)\.md": "hours of training and evaluation, on data sets that no test has",
    r"^docs/scale-out\.md": "needs vLLM: make test-engines",
    r"^docs/stores\.md": "needs a database server: make test-stores",
    r"^docs/studies\.md": "hours of evaluation, on data sets that no test has",
    r"--embeddings-url|cross-encoder/": "models that no test has",
    r" --devices ": "several GPUs, or minutes of starting processes: tests/encoder/test_pool.py",
    r"\br2ag (serve|mcp) ": "doesn't end by itself",
}
SERVED_AT = "http://127.0.0.1:8000"


def shown(page: str) -> list[Command]:
    return commands(blocks(page, whole(page)))


def run(page: str) -> list[Command]:
    ours = [command for command in shown(page) if command.program == "r2ag"]
    return [command for command in ours if not any(re.search(words, str(command)) for words in ONLY_PARSED)]


@pytest.mark.parametrize("page", [page for page in PAGES if run(page)])
def test_a_pages_commands_do_what_they_say(page: str, r2ag: Runner, tiny: Tiny, workplace: Path) -> None:
    with chat_server(about_topics) as server:
        here = {
            "http://localhost:11434/v1": server.url,
            "sentence-transformers/all-MiniLM-L6-v2": str(tiny.encoder),
        }
        for command in run(page):
            arguments = [here.get(word, word) for word in command.words[1:]]
            with pytest.MonkeyPatch.context() as settings:
                settings.setattr("sys.stdin", io.StringIO())
                for variable in command.variables:
                    settings.setenv(*variable.split("=", 1))
                outcome = r2ag(*arguments)
            assert outcome.status == 0, f"{command}\n{outcome.err}"
            assert outcome.out or outcome.err, command
            for option in ("--output", "--store"):
                if option in arguments:
                    assert Path(arguments[arguments.index(option) + 1]).exists() or "--dry-run" in arguments, command


def test_what_is_not_run_is_there() -> None:
    everything = [str(command) for page in PAGES for command in shown(page)]
    assert all(any(re.search(words, line) for line in everything) for words in ONLY_PARSED)


def test_the_server_starts_and_answers_as_its_page_says(workplace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What is started is the page's first `r2ag serve`; what asks it, its other blocks."""
    page = "docs/server.md"
    start = next(command.words[2:] for command in shown(page) if command.words[:2] == ("r2ag", "serve"))
    with serving(*start) as process:
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
