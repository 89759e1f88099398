"""How far a long command is, on stderr."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from r2ag.cli.output import note

if TYPE_CHECKING:
    from r2ag.store import Progress


class MethodProgress:
    """A bar for each method on a terminal; elsewhere a line when each is done."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True, markup=False),
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        if self._bars.console.is_terminal:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars.console.is_terminal:
            self._bars.stop()

    def __call__(self, method: str, done: int, total: int) -> None:
        """Takes how many of the records a method has answered."""
        if self._bars.console.is_terminal:
            if method not in self._tasks:
                self._tasks[method] = self._bars.add_task(method, total=total)
            self._bars.update(self._tasks[method], completed=done)
        elif done == total:
            note(f"{method}: {total} records")


class IndexProgress:
    """A bar over the bytes of the files to read, with the time left; shown on a terminal only."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self._bars = Bars(
            TextColumn("Indexing"),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True, markup=False),
        )
        self._task = self._bars.add_task("", total=None)

    def __enter__(self) -> Self:
        if self._bars.console.is_terminal:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars.console.is_terminal:
            self._bars.stop()

    def __call__(self, progress: Progress) -> None:
        """Takes how far the work is."""
        self._bars.update(self._task, completed=progress.done, total=progress.total)
