"""No block of the documentation is of an unknown kind, and every command line is one that its program takes."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import typer

from r2ag.cli import app
from tests.cli.conftest import Command as Runner
from tests.cli.conftest import r2ag
from tests.docs.blocks import PAGES, ROOT, Block, Command, blocks, commands, source

__all__ = ["r2ag"]

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DOCUMENTED = [block for page in PAGES for block in blocks(page)]


def check_r2ag(words: Sequence[str]) -> None:
    """Raises what the command line would say of a command, option or value that it does not take."""
    command: Any = typer.main.get_command(app)
    name, rest = words[0], list(words[1:])
    while hasattr(command, "commands"):
        name, *rest = rest
        assert name in command.commands, f"there is no command {name}"
        command = command.commands[name]
    command.make_context(name, rest)


def check_make(words: Sequence[str]) -> None:
    assert all(f"\n{target}:" in source("Makefile") for target in words[1:])


def check_pip(words: Sequence[str]) -> None:
    assert words[1] == "install"
    for word in words[2:]:
        if found := re.fullmatch(r"(?:r2ag|\.)\[(.+)\]", word):
            assert set(found[1].split(",")) <= set(PROJECT["optional-dependencies"])
        elif word.endswith(".txt"):
            assert (ROOT / word).is_file()


def check_python(words: Sequence[str]) -> None:
    if words[1] == "-c":
        compile(words[2], words[0], "exec")
    elif words[1:3] != ("-m", "vllm.entrypoints.openai.api_server"):
        check_script(words[1:])


def check_script(words: Sequence[str]) -> None:
    """A file of this repository, and each option in its text: as it is, or as a number of turns.parser."""
    text = source(words[0])
    numbers = re.findall(r"(\w+)=", " ".join(re.findall(r"parser\(__doc__, (.*?)\)", text)))
    known = {f"--{number.replace('_', '-')}" for number in numbers}
    assert all(f'"{word}"' in text or word in known for word in words if word.startswith("--"))


def check_curl(words: Sequence[str]) -> None:
    """Run in test_commands.py, where it asks a server."""
    assert any(word.startswith("http://127.0.0.1:8000/") for word in words)


def check_vllm(words: Sequence[str]) -> None:
    """Its options are those that `make test-engines` starts it with, or are about machines that no test has."""
    assert words[1] == "serve"
    assert "--enable-prompt-embeds" in words


def check_docker(words: Sequence[str]) -> None:
    assert words[1:3] == ("compose", "-f")
    assert (ROOT / words[3]).is_file()


PROGRAMS: dict[str, Callable[[Sequence[str]], None]] = {
    ".venv-engines/bin/python": check_python,
    "curl": check_curl,
    "docker": check_docker,
    "export": lambda words: None,
    "make": check_make,
    "pip": check_pip,
    "python": check_python,
    "r2ag": check_r2ag,
    "scripts/train_default_adapter.sh": check_script,
    "vllm": check_vllm,
}


def check_json(block: Block) -> None:
    for server in json.loads(block.text).get("mcpServers", {}).values():
        check_r2ag([server["command"], *server["args"]])


LANGUAGES: dict[str, Callable[[Block], object]] = {
    "json": check_json,
    "python": lambda block: compile(block.text, str(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT),
    "sh": lambda block: commands([block]),
    "text": lambda block: block.text,  # pictures, and transcripts: test_transcripts.py
    "toml": lambda block: tomllib.loads(block.text),
}


@pytest.mark.parametrize("block", DOCUMENTED, ids=str)
def test_a_block_has_a_language_and_is_well_formed(block: Block) -> None:
    assert block.language in LANGUAGES, f"nothing here knows the language {block.language!r}: check it too"
    LANGUAGES[block.language](block)


@pytest.mark.parametrize("command", commands(DOCUMENTED), ids=str)
def test_a_command_line_is_one_that_its_program_takes(command: Command) -> None:
    assert command.program in PROGRAMS, f"nothing here knows {command.program}: check it too"
    PROGRAMS[command.program](command.words)


@pytest.mark.parametrize("block", [block for block in DOCUMENTED if block.language == "toml"], ids=str)
def test_settings_are_such_as_the_command_reads(
    block: Block, r2ag: Runner, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(block.text, encoding="utf-8")
    monkeypatch.setenv("R2AG_SETTINGS", str(settings))
    outcome = r2ag("info")
    assert outcome.status == 0, outcome.err


@pytest.mark.parametrize("words", ["r2ag ask Why? --dox notes/", "r2ag aks", "r2ag ask Why? --k many", "r2ag train"])
def test_a_wrong_command_line_is_noticed(words: str) -> None:
    with pytest.raises((AssertionError, typer.BadParameter.__mro__[1])):
        check_r2ag(words.split())


def test_links_lead_somewhere() -> None:
    """Their anchors are checked by make docs."""
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", source(page), flags=re.DOTALL | re.MULTILINE)
        targets = re.findall(r"\]\((?!https?:)([^)#\s]+)", text)
        for target in [*targets, *re.findall(r"^\[[^\]]+\]: (?!https?:)(\S+)", text, flags=re.MULTILINE)]:
            assert (ROOT / page).parent.joinpath(target).exists(), f"{page}: {target}"
        for name in re.findall(r"\]\[([^\]]+)\]", text):
            assert f"\n[{name}]: " in text, f"{page}: nothing says where [{name}] leads"
