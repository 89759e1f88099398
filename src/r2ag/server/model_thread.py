"""The one thread that uses the models: it writes answers together, and does all else between two of their tokens."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from threading import Condition, Thread
from typing import Any, TypeVar

from r2ag.engines.batch import Batch
from r2ag.engines.generation import Generation
from r2ag.engines.writing import Writing
from r2ag.method.embeddings import MixedEmbeddings

Result = TypeVar("Result")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Wanted:
    """An answer to write; cancelling its future gives it up, at whatever point."""

    mixed: MixedEmbeddings
    row: Writing
    future: Future[Generation]


class ModelThread:
    """A queue in front of the models.

    Between two tokens of the answers that are being written, at most one job is done and one prompt read. This bounds
    the delay between two tokens. An error fails the callers that it concerns, and the thread goes on.

    Args:
        batch: None where no answers are written here.
        size: answers that are written side by side; more wait for a place.
    """

    def __init__(self, batch: Batch | None, size: int) -> None:
        self._batch = batch
        self._size = size
        self._jobs: deque[tuple[Callable[[], Any], Future[Any]]] = deque()  # what else to do with the models
        self._waiting: deque[_Wanted] = deque()
        self._writing: list[_Wanted] = []
        self._changed = Condition()
        self._is_closing = False
        self._thread = Thread(target=self._work, name="models", daemon=True)

    def start(self) -> None:
        """Begins to work."""
        self._thread.start()

    def close(self) -> None:
        """Does what was asked for before, then ends."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join()

    @property
    def is_alive(self) -> bool:
        """Whether it works."""
        return self._thread.is_alive()

    @property
    def writing(self) -> int:
        """Answers that are being written."""
        return len(self._writing)

    def run(self, work: Callable[[], Result]) -> Future[Result]:
        """Has the thread do something, in turn; what it raises is raised by the future."""
        future: Future[Result] = Future()
        with self._changed:
            self._jobs.append((work, future))
            self._changed.notify()
        return future

    def write(self, mixed: MixedEmbeddings, row: Writing) -> Future[Generation]:
        """See r2ag.engines.base.AnswerWriter."""
        wanted = _Wanted(mixed, row, Future())
        with self._changed:
            self._waiting.append(wanted)
            self._changed.notify()
        return wanted.future

    @property
    def _own_batch(self) -> Batch:
        assert self._batch is not None, "answers are written elsewhere"
        return self._batch

    def _work(self) -> None:
        while True:
            with self._changed:
                while not (self._jobs or self._waiting or self._writing):
                    if self._is_closing:
                        return
                    self._changed.wait()
                job = self._jobs.popleft() if self._jobs else None
                joining = self._waiting.popleft() if self._waiting and len(self._writing) < self._size else None
            if job is not None:
                _do(*job)
            if joining is not None and not joining.future.cancelled():
                self._join(joining)
            if not self._writing:
                continue
            try:
                self._step()
            except BaseException as error:
                logger.exception("The answers that were being written are lost.")
                self._own_batch.clear()  # it may be broken
                lost, self._writing = self._writing, []
                for wanted in lost:
                    _settle(wanted.future, error)

    def _join(self, joining: _Wanted) -> None:
        self._writing.append(joining)  # before its first piece is handed on: who has one is counted
        try:
            self._own_batch.join(joining.mixed, joining.row)
        except BaseException as error:
            logger.exception("A prompt could not be read.")
            self._writing.remove(joining)
            _settle(joining.future, error)

    def _step(self) -> None:
        cancelled = [wanted for wanted in self._writing if wanted.future.cancelled()]
        self._own_batch.drop([wanted.row for wanted in cancelled])
        self._writing = [wanted for wanted in self._writing if wanted not in cancelled]
        self._own_batch.step()
        for wanted in [wanted for wanted in self._writing if wanted.row.has_ended]:
            generation = wanted.row.generation()
            self._writing.remove(wanted)
            _settle(wanted.future, generation)


def _do(work: Callable[[], Any], future: Future[Any]) -> None:
    if future.set_running_or_notify_cancel():
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)


def _settle(future: Future[Generation], result: Generation | BaseException) -> None:
    with suppress(InvalidStateError):  # it was cancelled just now
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)
