"""How far a long command is, on stderr."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from r2ag.cli.output import in_words, note

if TYPE_CHECKING:
    from rich.progress import ProgressColumn, TaskID

    from r2ag.store import Progress


SPEED_SECONDS = 600  # what the time left is reckoned from: steps may be a minute apart


class _Bars:
    """Bars that are drawn on a terminal only, while the block lasts."""

    def __init__(self, *columns: ProgressColumn) -> None:
        from rich.console import Console
        from rich.progress import Progress as Bars

        target = Console(stderr=True, markup=False)
        self._bars = Bars(*columns, console=target, speed_estimate_period=SPEED_SECONDS)

    @property
    def _drawn(self) -> bool:
        return self._bars.console.is_terminal

    def __enter__(self) -> Self:
        if self._drawn:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._drawn:
            self._bars.stop()


class MethodProgress(_Bars):
    """A bar for each method on a terminal; elsewhere a line when each is done."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

        description = TextColumn("{task.description}", markup=False)
        super().__init__(description, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, method: str, done: int, total: int) -> None:
        """Takes how many of the records a method has answered."""
        if self._drawn:
            if method not in self._tasks:
                self._tasks[method] = self._bars.add_task(method, total=total)
            self._bars.update(self._tasks[method], completed=done)
        elif done == total:
            note(f"{method}: {total} records")


class StudyProgress(_Bars):
    """A bar over all answers of a study with the time left; elsewhere a line now and then.

    Answers that were there before come at once, so that the time left is reckoned from those that had to be made.
    """

    SECONDS = 30

    def __init__(self, batch_size: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

        described = TextColumn("{task.description}", markup=False)
        super().__init__(BarColumn(), MofNCompleteColumn(), described)
        self._task = self._bars.add_task("", total=None)
        self._batch_size = batch_size
        self._before, self._made = 0, 0
        self._told = time.monotonic()
        self._started: float | None = None  # when the first answer was there: models had to be loaded for it

    def __call__(self, what: str, done: int, total: int) -> None:
        """Takes what is being done, and how many of all answers there are."""
        now = time.monotonic()
        if self._started is None:
            self._started = now
        else:
            self._made += min(self._batch_size, done - self._before)
        self._before = done
        left = f"{in_words((now - self._started) / self._made * (total - done))} left: " if self._made else ""
        if self._drawn:
            self._bars.update(self._task, completed=done, total=total, description=f"{left}{what}")
        elif done == total or now - self._told >= self.SECONDS:
            self._told = now
            note(f"{done} of {total}, {left}{what}")


class QuestionProgress(_Bars):
    """A bar over the passages with the time left, and how many questions were kept; elsewhere a line now and then."""

    LINES = 20

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

        kept = TextColumn("{task.description}", markup=False)
        super().__init__(kept, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._task = self._bars.add_task("", total=None)
        self._started = time.monotonic()

    def __call__(self, done: int, total: int, kept: int) -> None:
        """Takes how many of the passages were asked, and how many questions were kept."""
        if self._drawn:
            self._bars.update(self._task, completed=done, total=total, description=f"{kept} questions kept")
        elif done == total or done % max(1, total // self.LINES) == 0:
            left = (time.monotonic() - self._started) / done * (total - done)
            note(f"{done} of {total} passages, {kept} questions kept, {in_words(left)} left …")


class IndexProgress(_Bars):
    """A bar over the bytes of the files to read, or over other things to do, with the time left."""

    def __init__(self, what: str = "Indexing", unit: str | None = None) -> None:
        from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

        amount = DownloadColumn() if unit is None else MofNCompleteColumn()
        super().__init__(TextColumn(what), BarColumn(), amount, TextColumn(unit or ""), TimeRemainingColumn())
        self._task = self._bars.add_task("", total=None, visible=False)  # there may be nothing to do

    def __call__(self, progress: Progress) -> None:
        """Takes how far the work is."""
        self._bars.update(self._task, completed=progress.done, total=progress.total, visible=True)
