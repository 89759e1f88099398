"""Answers that are written in a thread, piece by piece, for whoever iterates: an ordinary loop or an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, suppress
from queue import Queue
from threading import Event, Thread

from r2ag.types import Answer

Ask = Callable[[Callable[[str], None]], Answer]
"""Something that answers and hands each piece of text on as it is written."""


def stream(ask: Ask) -> Generator[str | Answer]:
    """Pieces of text, then the Answer; raises what `ask` raises. Closing the iterator stops the answer."""
    queue: Queue[str | Answer | BaseException] = Queue()
    unwanted = _start(ask, queue.put)
    try:
        while True:
            item = _unless_error(queue.get())
            yield item
            if isinstance(item, Answer):
                return
    finally:
        unwanted.set()


async def stream_async(ask: Ask) -> AsyncGenerator[str | Answer]:
    """As `stream`, without keeping the event loop from its other work."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[str | Answer | BaseException] = asyncio.Queue()

    def put(item: str | Answer | BaseException) -> None:
        with suppress(RuntimeError):  # the loop has closed since; nobody waits
            loop.call_soon_threadsafe(queue.put_nowait, item)

    unwanted = _start(ask, put)
    try:
        while True:
            item = _unless_error(await queue.get())
            yield item
            if isinstance(item, Answer):
                return
    finally:
        unwanted.set()


async def answer_async(ask: Ask) -> Answer:
    """The Answer alone; cancelling stops it."""
    async with aclosing(stream_async(ask)) as items:
        async for item in items:
            if isinstance(item, Answer):
                return item
    raise AssertionError("a stream ends with its answer")


class _UnwantedError(Exception):
    """Nobody waits for the rest of the answer."""


def _start(ask: Ask, put: Callable[[str | Answer | BaseException], None]) -> Event:
    """Answers in a thread; setting the event ends the generation at its next piece of text."""
    unwanted = Event()

    def on_text(piece: str) -> None:
        if unwanted.is_set():
            raise _UnwantedError
        put(piece)

    def work() -> None:
        try:
            put(ask(on_text))
        except BaseException as error:
            put(error)

    Thread(target=work, daemon=True).start()
    return unwanted


def _unless_error(item: str | Answer | BaseException) -> str | Answer:
    if isinstance(item, BaseException):
        raise item
    return item
