"""The queue in front of the models, without a server around it."""

from __future__ import annotations

import pytest

from r2ag.engines.batch import Batch
from r2ag.engines.writing import Sampling, Writing
from r2ag.server.model_thread import ModelThread
from tests.test_pipeline import QUESTION, new_pipeline
from tests.tiny import some_documents


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
