"""The commands that a study needs done first: trainings, each an `r2ag` command that is resumed where it stopped."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from r2ag.errors import InputError
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
    missing = [step for step in steps if not step.marker.is_file()]
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
        copy = output / "data" / file_name("-".join(step.scores)) / f"{file.name.removesuffix('.gz')}.gz"
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
