"""What the README shows of the real default models: its Python as it is, its transcripts in their shape."""

from __future__ import annotations

import ast
import asyncio
import inspect
import io
import re
import shlex
import shutil
from pathlib import Path

import pytest

from r2ag.samples import documents_folder
from tests.cli.conftest import Command as Runner
from tests.cli.conftest import r2ag
from tests.docs.blocks import ROOT, blocks

__all__ = ["r2ag"]

pytestmark = pytest.mark.model

README = blocks("README.md")
TRANSCRIPTS = [
    part
    for block in README
    if block.language == "text" and block.text.startswith("$ ")
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]
]


def test_the_readmes_python_runs_from_top_to_bottom(
    r2ag: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes").mkdir()
    shutil.copy(documents_folder() / "bridges-golden-gate.md", tmp_path / "notes")
    monkeypatch.chdir(tmp_path)
    indexed = r2ag("index", "notes/", "--store", "my-store", "--meta", "team=bridges")
    assert indexed.status == 0, indexed.err
    names: dict[str, object] = {}
    for block in README:
        if block.language == "python":
            code = compile(block.text, str(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            running = eval(code, names)
            if inspect.iscoroutine(running):
                asyncio.run(running)
            if "print(" in block.text:
                assert "Bentz" in capsys.readouterr().out
    assert "Bentz" in str(names["answer"])


def shape(output: str) -> list[str]:
    """Labels, heads of tables and the numbers of their rows: what stays where models and figures change."""
    found = []
    for line in output.splitlines():
        if line.startswith(" # "):
            found.append(" ".join(line.split()))
        elif match := re.match(r" *(\d+) +\D", line) or re.match(r"([^\s:>][^:]{0,14}):( |$)", line):
            found.append(match[1])
        elif line.startswith("Nothing relevant was found"):
            found.append(line.partition(".")[0])
    return found


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda transcript: transcript.partition("\n")[0])
def test_a_transcript_has_the_shape_of_what_is_printed(
    transcript: str, r2ag: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, _, expected = transcript.partition("\n")
    typed = re.findall(r"^> (.*)$", expected, flags=re.MULTILINE)
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(typed)))
    monkeypatch.chdir(ROOT)
    program, *arguments = shlex.split(line)
    assert program == "r2ag"
    outcome = r2ag(*arguments)
    assert outcome.status == 0, outcome.err
    assert shape(expected)
    assert shape(outcome.out) == shape(expected), outcome.out
