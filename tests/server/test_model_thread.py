"""The queue in front of the models, without a server around it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from threading import Event

import pytest

from r2ag.engines.batch import Batch
from r2ag.engines.writing import Sampling, Writing
from r2ag.method.embeddings import MixedEmbeddings
from r2ag.pipeline import Pipeline
from r2ag.server.model_thread import ModelThread
from tests.test_pipeline import QUESTION, new_pipeline
from tests.tiny import some_documents

TIMEOUT_S = 60


def new_answer(pipeline: Pipeline, count: int) -> tuple[MixedEmbeddings, Writing]:
    """A prompt, and a row for its answer of so many tokens."""
    engine = pipeline.reader.engine
    assessed = pipeline.assess(pipeline.find(QUESTION, some_documents(3)))
    _, mixed = pipeline.reader.mix([assessed.retrieved.ranked], assessed.assessment, count, keep=[assessed.keep])
    return mixed, Writing(Sampling(count), engine.tokenizer, [-1])


@pytest.fixture
def thread() -> Iterator[ModelThread]:
    thread = ModelThread(Batch(new_pipeline().reader.model.llm), 2)
    thread.start()
    yield thread
    thread.close()


def test_an_answer_that_cannot_be_dropped_fails_its_company_and_the_thread_goes_on(
    thread: ModelThread, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Dropping one that was cancelled fails, as it may on a GPU without memory."""
    pipeline = new_pipeline()
    mixed, row = new_answer(pipeline, 4)
    expected = thread.write(mixed, row).result(TIMEOUT_S).text
    begun, go_on = Event(), Event()

    def wait(piece: str) -> None:
        begun.set()
        go_on.wait(TIMEOUT_S)

    cancelled, lost = new_answer(pipeline, 30), new_answer(pipeline, 30)
    cancelled[1]._on_text = wait
    futures = [thread.write(*answer) for answer in (lost, cancelled)]
    assert begun.wait(TIMEOUT_S)
    futures[1].cancel()
    with monkeypatch.context() as patch:
        patch.setattr(Batch, "drop", lambda *arguments: 1 / 0)
        go_on.set()
        with pytest.raises(ZeroDivisionError):
            futures[0].result(TIMEOUT_S)
    assert "The answers that were being written are lost" in caplog.text
    assert thread.write(*new_answer(pipeline, 4)).result(TIMEOUT_S).text == expected
    assert thread.writing == 0


def test_work_that_exits_ends_nothing_else(thread: ModelThread) -> None:
    with pytest.raises(SystemExit):
        thread.run(lambda: sys.exit(1)).result(TIMEOUT_S)
    assert thread.run(lambda: 7).result(TIMEOUT_S) == 7
    assert thread.is_alive


def test_whoever_has_a_piece_of_an_answer_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = new_pipeline()
    pipeline.reader.engine.stop_tokens = [-1]
    assessed = pipeline.assess(pipeline.find(QUESTION, some_documents(3)))
    _, mixed = pipeline.reader.mix([assessed.retrieved.ranked], assessed.assessment, 8, keep=[assessed.keep])
    thread = ModelThread(Batch(pipeline.reader.model.llm), 1)
    counts = []
    engine = pipeline.reader.engine
    row = Writing(Sampling(8), engine.tokenizer, engine.stop_tokens, lambda piece: counts.append(thread.writing))
    thread.start()
    thread.write(mixed, row).result()
    monkeypatch.setattr(Batch, "join", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        thread.write(mixed, row).result()
    thread.close()
    assert set(counts) == {1}
    assert thread.writing == 0
