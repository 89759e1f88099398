"""Runs the commands that a study needs first: trainings, each an `r2ag` command that is resumed where it stopped."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from r2ag.errors import InputError
from r2ag.io.atomic import write_whole
from r2ag.records import read_records, write_records
from r2ag.studies.base import Step, file_name
from r2ag.studies.preparations import scored
from r2ag.training.checkpoints import whole_checkpoints

Run = Callable[[Sequence[str]], int]
"""Runs one r2ag command and returns its exit status."""
Note = Callable[[str], None]
Settings = Callable[[str], Mapping[str, object]]
"""A command's options in the user's settings."""
STOPPED = 130
_PLACES = ("--vectors", "--answers", "--adapter", "--encoder-lora")
STDERR = 2  # the descriptor: sys.stderr may be an object without one


def run_command(arguments: Sequence[str]) -> int:
    """Runs it in a process of its own, which frees its memory; what it prints goes to stderr."""
    command = [sys.executable, "-m", "r2ag.cli", *arguments]
    return subprocess.run(command, check=False, stdout=STDERR).returncode


def make_all(
    steps: Sequence[Step], output: Path, settings: Settings, note: Note, in_words: Callable[[float], str], run: Run
) -> None:
    """Runs the steps that are not done yet, one after another.

    Raises:
        InputError: a step failed, and has said why. Or as `missing_steps`.
    """
    missing = missing_steps(steps, output, settings)
    started = time.monotonic()
    for done, step in enumerate(missing):
        left = (time.monotonic() - started) / done * (len(missing) - done) if done else None
        note(f"{done + 1} of {len(missing)}{f', {in_words(left)} left' if left else ''}: {step}")
        step.folder.parent.mkdir(parents=True, exist_ok=True)
        write_whole(_note_of(step), json.dumps(_made_by(step, steps, output, settings), indent=2) + "\n")
        status = run(_resumed(step, step.line(_scored_files(step, output))))
        if status in (STOPPED, -2):
            raise KeyboardInterrupt
        if status or not step.marker.is_file():
            raise InputError(
                f"The step {step.folder.name} failed, as told above; the same command goes on from there. ({step})"
            )


def missing_steps(steps: Sequence[Step], output: Path, settings: Settings) -> list[Step]:
    """The steps whose folders are not made yet; a folder without a note of how it was made is taken as it is.

    Raises:
        InputError: a folder was made, or begun, by another command or from other records.
    """
    for step in steps:
        file = _note_of(step)
        if file.is_file() and json.loads(file.read_text("utf-8")) != _made_by(step, steps, output, settings):
            name = step.folder.name
            raise InputError(
                f"{step.folder} was made with other options or records than this study has; name a new --output, or "
                f"remove {name}, {name}-run and {file.name} there."
            )
    return [step for step in steps if not step.marker.is_file()]


def _note_of(step: Step) -> Path:
    return step.folder.with_name(f"{step.folder.name}-made-by.json")


def _made_by(step: Step, steps: Sequence[Step], output: Path, settings: Settings) -> dict[str, Any]:
    """All that a step's folder depends on: its command and settings, its records, and the steps before it."""
    return {
        "command": list(_wherever(step.command, output)),
        "settings": {name: str(value) for name, value in settings(step.command[0]).items()},
        "data": [[_digest(file), weight] for file, weight in step.data],
        "from": [_made_by(one, steps, output, settings) for one in steps if str(one.folder) in step.command],
    }


def _wherever(command: Sequence[str], output: Path) -> Iterator[str]:
    """The command without the place of the study, and without what changes no result."""
    whole = output.absolute()
    for option, part in zip(("", *command), command, strict=False):
        if option in _PLACES and Path(part).absolute().is_relative_to(whole):
            yield str(Path(part).absolute().relative_to(whole))
        elif not (command[0] == "choose" and option == "--batch-size"):
            yield part


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _resumed(step: Step, line: list[str]) -> list[str]:
    """A training with checkpoints goes on from the last; one that was stopped before the first begins again."""
    if step.command[0] != "train":
        return line
    work = step.folder.with_name(f"{step.folder.name}-run")
    if whole_checkpoints(work):
        return [*line, "--resume"]
    shutil.rmtree(work, ignore_errors=True)
    return line


def _scored_files(step: Step, output: Path) -> list[tuple[Path, float]]:
    """Copies of the step's records whose documents have the scores of its finder."""
    if not step.finder:
        return []
    made = []
    for file, weight in step.data:
        # Other files may have the same name, and this one may have been another when it was copied.
        folder = output / "data" / file_name(step.finder) / _digest(file)[:8]
        copy = folder / f"{file.name.removesuffix('.gz')}.gz"
        if not copy.is_file():
            write_records(scored(list(read_records(file)), step.finder), copy)
        made.append((copy, weight))
    return made
