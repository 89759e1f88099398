from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from r2ag.answering import streaming
from r2ag.errors import InputError
from r2ag.pipeline import Pipeline
from r2ag.types import Answer
from tests.test_pipeline import QUESTION, new_pipeline
from tests.tiny import some_documents

ANSWER = Answer("q", "one two", ())


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return new_pipeline()


class Endless:
    """An answer that goes on until it is stopped."""

    def __init__(self) -> None:
        self.stopped = threading.Event()

    def __call__(self, on_text: Callable[[str], None]) -> Answer:
        try:
            while True:
                on_text("more ")
                time.sleep(0.001)
        finally:
            self.stopped.set()


def test_an_iterator_that_is_closed_stops_the_answer():
    endless = Endless()
    pieces = streaming.stream(endless)
    assert next(pieces) == "more "
    assert not endless.stopped.is_set()
    pieces.close()
    assert endless.stopped.wait(10)


def test_cancelling_stops_the_answer():
    endless = Endless()

    async def cancelled() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(streaming.answer_async(endless), 0.05)

    asyncio.run(cancelled())
    assert endless.stopped.wait(10)


def test_a_loop_that_is_gone_before_the_answer_is_no_error():
    running = set(threading.enumerate())
    go = threading.Event()
    done = threading.Event()

    def late(on_text: Callable[[str], None]) -> Answer:
        on_text("one ")
        go.wait(10)
        done.set()
        return ANSWER

    async def first() -> str | Answer:
        async for item in streaming.stream_async(late):
            return item
        raise AssertionError

    assert asyncio.run(first()) == "one "
    errors: list[object] = []
    threading.excepthook, before = errors.append, threading.excepthook
    go.set()
    for thread in set(threading.enumerate()) - running:
        thread.join(10)
    threading.excepthook = before
    assert done.is_set()
    assert errors == []


def test_the_event_loop_stays_free_while_an_answer_is_written():
    """The answer waits for something that only the loop can do."""
    reached = threading.Event()

    def waiting(on_text: Callable[[str], None]) -> Answer:
        on_text("one ")
        assert reached.wait(10), "the loop was held"
        return ANSWER

    async def both() -> list[str | Answer]:
        items = []
        async for item in streaming.stream_async(waiting):
            items.append(item)
            reached.set()
        return items

    assert asyncio.run(both()) == ["one ", ANSWER]


def test_asked_and_streamed_in_a_loop_as_without_one(pipeline):
    documents = some_documents(3)
    expected = pipeline.ask(QUESTION, documents, max_new_tokens=8)

    async def both() -> tuple[Answer, list[str | Answer]]:
        asked = await pipeline.ask_async(QUESTION, documents, max_new_tokens=8)
        return asked, [item async for item in pipeline.stream_async(QUESTION, documents, max_new_tokens=8)]

    asked, (*pieces, streamed) = asyncio.run(both())
    assert asked.text == streamed.text == "".join(pieces) == expected.text
    assert asked.documents == streamed.documents == expected.documents


def test_what_cannot_be_asked_is_refused_in_a_loop_too(pipeline):
    with pytest.raises(InputError, match="The question is empty"):
        asyncio.run(pipeline.ask_async("", some_documents(1)))


def test_overlapping_calls_take_turns(pipeline, monkeypatch):
    at_work, together = 0, []
    generate = pipeline.reader.engine.generate

    def counted(*arguments: object) -> object:
        nonlocal at_work
        at_work += 1
        together.append(at_work)
        time.sleep(0.01)
        try:
            return generate(*arguments)
        finally:
            at_work -= 1

    monkeypatch.setattr(pipeline.reader.engine, "generate", counted)
    lists = [some_documents(count) for count in range(1, 7)]
    expected = [pipeline.ask(QUESTION, documents, max_new_tokens=8).text for documents in lists]

    async def all_at_once() -> list[Answer]:
        return await asyncio.gather(*(pipeline.ask_async(QUESTION, each, max_new_tokens=8) for each in lists))

    assert [answer.text for answer in asyncio.run(all_at_once())] == expected
    assert together == [1] * 12


def test_what_is_told_of_an_answer_may_ask_another(pipeline):
    asked: list[str] = []

    def on_text(piece: str) -> None:
        if not asked:
            asked.append(pipeline.ask(QUESTION, some_documents(1), max_new_tokens=1).text)

    assert pipeline.ask(QUESTION, some_documents(2), max_new_tokens=4, on_text=on_text).text
    assert asked
