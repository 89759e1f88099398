"""The commands that a study needs done first: trainings, each an `r2ag` command that is resumed where it stopped."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from r2ag.errors import InputError
from r2ag.files import write_whole
from r2ag.records import read_records, write_records
from r2ag.studies.base import Step, file_name
from r2ag.studies.preparations import scored
from r2ag.training.checkpoints import whole_checkpoints
from r2ag.types import Document, Record

Run = Callable[[Sequence[str]], int]
"""Runs one r2ag command and returns its exit status."""
Note = Callable[[str], None]
STOPPED = 130
STDERR = 2  # the descriptor: sys.stderr may be an object without one


def run_command(arguments: Sequence[str]) -> int:
    """In a process of its own, whose memory is free again when it ends; what it prints goes to stderr."""
    command = [sys.executable, "-m", "r2ag.cli", *arguments]
    return subprocess.run(command, check=False, stdout=STDERR).returncode


def make_all(steps: Sequence[Step], output: Path, note: Note, in_words: Callable[[float], str], run: Run) -> None:
    """Makes what isn't there yet, one step after another.

    Raises:
        InputError: a step failed; it has told why.
    """
    missing = missing_steps(steps, output)
    started = time.monotonic()
    for done, step in enumerate(missing):
        left = (time.monotonic() - started) / done * (len(missing) - done) if done else None
        note(f"{done + 1} of {len(missing)}{f', {in_words(left)} left' if left else ''}: {step}")
        status = run(_resumed(step, step.line(_scored_files(step, output))))
        if status in (STOPPED, -2):
            raise KeyboardInterrupt
        if status or not step.marker.is_file():
            raise InputError(
                f"The step {step.folder.name} failed, as told above; the same command goes on from there. ({step})"
            )
        write_whole(_note_of(step), json.dumps(_made_by(step, output), indent=2) + "\n")


def missing_steps(steps: Sequence[Step], output: Path) -> list[Step]:
    """Those whose outcome isn't there; one without a note of how it was made is taken as it is.

    Raises:
        InputError: an outcome was made by another command, or from other records.
    """
    missing = []
    for step in steps:
        if not step.marker.is_file():
            missing.append(step)
        elif _note_of(step).is_file() and json.loads(_note_of(step).read_text("utf-8")) != _made_by(step, output):
            raise InputError(
                f"{step.folder} was made with other options or records than this study has; name a new --output, or "
                "remove that folder."
            )
    return missing


def _note_of(step: Step) -> Path:
    return step.folder.with_name(f"{step.folder.name}-made-by.json")


def _made_by(step: Step, output: Path) -> dict[str, Any]:
    """A step's command, wherever the study stands, and the records that it learned from."""
    inside = (part.partition(str(output)) for part in step.command)
    command = [f"OUTPUT{rest}" if found and not before else f"{before}{found}{rest}" for before, found, rest in inside]
    return {"command": command, "data": [[_digest(file), weight] for file, weight in step.data]}


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
    """Copies of the step's records whose documents bear the finders' scores that it trains with."""
    if not step.scores:
        return []
    made = []
    for file, weight in step.data:
        # Other files may have the same name, and this one may have been another when it was copied.
        folder = output / "data" / file_name("-".join(step.scores)) / _digest(file)[:8]
        copy = folder / f"{file.name.removesuffix('.gz')}.gz"
        if not copy.is_file():
            write_records(with_scores(read_records(file), step.scores), copy)
        made.append((copy, weight))
    return made


def with_scores(records: Sequence[Record], finders: Sequence[str]) -> list[Record]:
    """The records with each finder's score of each document."""
    documents = scored([(record.question, record.documents) for record in records], finders)
    return [
        replace(record, documents=tuple[Document, ...](found)) for record, found in zip(records, documents, strict=True)
    ]
