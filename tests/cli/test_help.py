from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from r2ag import __version__
from r2ag.cli import app
from r2ag.studies import STUDIES
from tests.cli.conftest import Command

COMMANDS = (
    ("ask",),
    ("train",),
    ("train-encoder",),
    ("calibrate",),
    ("choose",),
    ("eval",),
    ("report",),
    ("info",),
    ("index",),
    ("serve",),
    ("mcp",),
    *(("store", name) for name in ("info", "check", "compact", "remove")),
    *(("data", name) for name in ("convert", "stats", "mine", "make", "from-logs")),
    *(("study", name) for name in STUDIES),
)


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_the_root_help_names_every_command(r2ag: Command, arguments: list[str]) -> None:
    outcome = r2ag(*arguments)
    assert outcome.status == 0
    assert all(f" {command[0]} " in outcome.out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(r2ag: Command, command: tuple[str, ...]) -> None:
    outcome = r2ag(*command, "--help")
    assert outcome.status == 0
    assert "Examples:" in outcome.out
    assert f"r2ag {' '.join(command)}" in outcome.out.split("Examples:")[1]


def test_the_version(r2ag: Command) -> None:
    assert r2ag("--version").out == f"r2ag {__version__}\n"


@pytest.mark.parametrize(
    "code",
    [
        "import r2ag",
        "from r2ag.cli import main; main(['--help'])",
        "from r2ag.cli import main; main(['ask', '--help'])",
        "from r2ag.cli import main; main(['data', 'convert', '--help'])",
    ],
)
def test_help_and_import_load_nothing_heavy(code: str) -> None:
    heavy = {"torch", "transformers", "numpy", "datasets", "jieba", "nltk", "peft", "fastapi", "httpx"}
    check = f"import sys; print(sorted({heavy} & set(sys.modules)), file=sys.stderr)"
    finished = subprocess.run([sys.executable, "-c", f"{code}\n{check}"], capture_output=True, text=True, check=True)
    assert finished.stderr == "[]\n"


def test_a_reader_that_goes_away_is_no_error() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "from r2ag.cli import main; import sys\nsys.exit(main(['train', '--help']))"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate(timeout=60)
    assert errors == b""


def test_ctrl_c_stops_quietly(r2ag: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*paths: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("r2ag.corpus.read_sources", interrupted)
    outcome = r2ag("ask", "Which bridge?", "--docs", ".")
    assert (outcome.status, outcome.out, outcome.err) == (130, "", "Stopped.\n")


def test_a_failure_is_one_sentence_with_a_way_to_more(r2ag: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*paths: object) -> None:
        raise RuntimeError("the disk\nis full")

    monkeypatch.setattr("r2ag.corpus.read_sources", failing)
    outcome = r2ag("ask", "Which bridge?", "--docs", ".")
    expected = "r2ag: The command failed (RuntimeError: the disk); set R2AG_TRACEBACK=1 to see where.\n"
    assert (outcome.status, outcome.out, outcome.err) == (1, "", expected)
    monkeypatch.setenv("R2AG_TRACEBACK", "1")
    assert "Traceback" in r2ag("ask", "Which bridge?", "--docs", ".").err


@pytest.mark.parametrize("group", ["store", "study", "data"])
def test_a_group_without_a_command_names_those_it_has(r2ag: Command, group: str) -> None:
    sentence = r2ag.refused(group)
    assert all(command[1] in sentence for command in COMMANDS if command[0] == group)
    assert sentence.endswith(f"; see r2ag {group} --help.")


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


@pytest.mark.parametrize(("name", "command"), list(commands(typer.main.get_command(app))))
def test_every_option_is_described_and_every_description_is_of_an_option(name: str, command: Any) -> None:
    shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
    assert all(parameter.help for parameter in shown), [parameter.name for parameter in shown if not parameter.help]
    docstring = inspect.getdoc(command.callback) or ""
    about_options = docstring.partition("\n\nArgs:\n")[2].partition("\n\nExamples:\n")[0]
    described = {line.strip().partition(":")[0] for line in about_options.splitlines() if line[4:5].strip()}
    assert described <= {parameter.name for parameter in command.params}
    assert "Args:" not in command.help
