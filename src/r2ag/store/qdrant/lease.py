"""The right to write a store in Qdrant, which one process has at a time.

Whoever has it says so every few seconds. One that has said nothing for a while is dead, and whoever waited takes its
place. No clocks are compared: the one that waits looks at its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from uuid import uuid4

from qdrant_client import models

from r2ag.errors import InputError
from r2ag.store.qdrant.collection import Collection
from r2ag.store.qdrant.points import META_ID, NOBODY, Meta, damaged, is_any, read_meta

BEAT_SECONDS = 4.0
DEAD_AFTER_SECONDS = 15.0
LOOK_SECONDS = 0.5


@contextmanager
def held(collection: Collection) -> Iterator[str]:
    """Yields the name under which the store may be written.

    Raises:
        InputError: another process writes.
    """
    writer = uuid4().hex
    _take(collection, writer)
    done = Event()
    beating = Thread(target=_beat, args=(collection, writer, done), daemon=True)
    beating.start()
    try:
        yield writer
    finally:
        done.set()
        beating.join()
        with suppress(InputError):
            change_meta(collection, {"writer": NOBODY}, writer=writer)


def change_meta(collection: Collection, changes: dict[str, object], **expected: str | int) -> None:
    """Changes the store's description if it still says what is expected: the server does both in one step."""
    still = [is_any(key, [value]) for key, value in expected.items()]
    conditions = models.Filter(must=[models.HasIdCondition(has_id=[META_ID]), *still])
    collection.call("set_payload", payload=changes, points=conditions, wait=True, ordering=models.WriteOrdering.STRONG)


def current_meta(collection: Collection) -> Meta:
    """The store's description.

    Raises:
        InputError: it is gone.
    """
    meta = read_meta(collection)
    if meta is None:
        raise damaged(collection, "its description is gone")
    return meta


def _take(collection: Collection, writer: str) -> None:
    found = current_meta(collection)
    if found.writer != NOBODY:
        found = _outwaited(collection, found)
    change_meta(collection, {"writer": writer, "beat": 0}, writer=found.writer, beat=found.beat)
    if current_meta(collection).writer != writer:
        raise _other(collection)


def _outwaited(collection: Collection, found: Meta) -> Meta:
    """The description once nobody writes, or whoever did is dead."""
    ends = time.monotonic() + DEAD_AFTER_SECONDS
    while time.monotonic() < ends:
        time.sleep(LOOK_SECONDS)
        now = current_meta(collection)
        if now.writer == NOBODY:
            return now
        if (now.writer, now.beat) != (found.writer, found.beat):
            raise _other(collection)
    return found


def _other(collection: Collection) -> InputError:
    return InputError(
        f"Another process is writing the store {collection.name}; wait until it is done, then give the same command "
        "again."
    )


def _beat(collection: Collection, writer: str, done: Event) -> None:
    beat = 0
    while not done.wait(BEAT_SECONDS):
        beat += 1
        with suppress(InputError):  # whoever writes will say it
            change_meta(collection, {"beat": beat}, writer=writer)
