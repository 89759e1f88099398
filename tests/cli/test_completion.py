from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

MAIN = "import sys; from r2ag.cli import main; sys.exit(main(sys.argv[1:]))"


def told(*arguments: str, **variables: str) -> str:
    """What a shell that runs r2ag with these variables reads."""
    command = [sys.executable, "-c", MAIN, *arguments]
    finished = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=True)
    assert finished.stderr == ""
    return finished.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("r2ag as", ["ask"]),
        ("r2ag store ", ["info", "check", "compact", "remove", "copy"]),
        ("r2ag ask --fin", ["--finder"]),
        ("r2ag ask --finder ", ["dense", "bm25", "hybrid"]),
    ],
)
def test_bash_completes_whatever_the_settings_are(words: str, expected: list[str], tmp_path: Path) -> None:
    asked = {"_R2AG_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    assert told(**asked, R2AG_SETTINGS=str(tmp_path / "not-there")).split() == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_that_a_shell_needs(shell: str) -> None:
    script = told("--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert f"complete_{shell}" in script


def test_it_is_installed_for_bash(tmp_path: Path) -> None:
    told("--install-completion", "bash", HOME=str(tmp_path), _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert (tmp_path / ".bashrc").is_file()
    assert any("complete_bash" in file.read_text() for file in tmp_path.rglob("*.sh"))
