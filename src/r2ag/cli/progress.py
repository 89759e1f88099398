"""How far a long command is, on stderr."""

from __future__ import annotations

import time
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from r2ag.cli.output import in_words, note

SPEED_SECONDS = 600  # the time left is estimated from this many seconds, since steps may be a minute apart
SECONDS_BETWEEN_LINES = 30


class ProgressBar:
    """Draws a bar on a terminal while the block lasts; elsewhere it writes a line now and then, and one at the end.

    It is called as r2ag.types.Progress says. When a bar is full, work of another name gets a bar of its own.

    Args:
        unit: what is counted, in the plural; None counts bytes.
    """

    def __init__(self, unit: str | None = None) -> None:
        self._unit = unit
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn() if unit is None else MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True, markup=False),
            speed_estimate_period=SPEED_SECONDS,
        )
        self._last_line = time.monotonic()

    def __enter__(self) -> Self:
        if self._bars.console.is_terminal:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars.console.is_terminal:
            self._bars.stop()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Takes the name of the work, and how much of it is done."""
        tasks = self._bars.tasks
        if not tasks or (tasks[-1].finished and tasks[-1].description != what):
            self._bars.add_task(what, total=total)
        task = self._bars.tasks[-1]
        self._bars.update(task.id, description=what, completed=done, total=total)
        if not self._bars.console.is_terminal:
            self._write_line(what, done, total, task.time_remaining)

    def _write_line(self, what: str, done: int, total: int, seconds_left: float | None) -> None:
        now = time.monotonic()
        is_done = done == total and self._unit is not None  # bytes are of little interest when they are read
        if not is_done and now - self._last_line < SECONDS_BETWEEN_LINES:
            return
        self._last_line = now
        megabytes = f"{done / 1e6:.1f} of {total / 1e6:.1f} MB"
        amount = megabytes if self._unit is None else f"{done} of {total} {self._unit}"
        left = f", {in_words(seconds_left)} left" if done < total and seconds_left is not None else ""
        note(f"{what}: {amount}{left}")
