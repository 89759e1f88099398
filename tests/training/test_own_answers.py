from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from r2ag.engines.transformers import Generation
from r2ag.prompting import Prompt
from r2ag.reader import Reader, Reading
from r2ag.training.own_answers import with_own_answers
from r2ag.types import RankedList
from tests.tiny import tiny_adapter, tiny_llm, tiny_tokenizer
from tests.training.conftest import RECORDS, described, record


@pytest.fixture
def reader() -> Reader:
    tokenizer = tiny_tokenizer("bytes", "chatml")
    llm = tiny_llm(vocabulary=len(tokenizer))
    return Reader(llm, tokenizer, tiny_adapter(llm, tokenizer))


def test_correct_answers_to_the_relevant_documents_alone_are_kept(reader, monkeypatch):
    """A random LLM is never right, so its answers are set here."""
    written = {
        0: Generation("It was built in 1400.", 6, 1.0, 1.0),
        1: Generation("It was built in 1999.", 6, 1.0, 1.0),
        2: Generation("It was built in 1402 and then", 64, 1.0, 1.0),  # not at its end
    }
    read: list[RankedList] = []

    def answer(lists: Sequence[RankedList], assessment: object, *arguments: Any, **options: Any) -> list[Reading]:
        assert assessment is None
        assert not options["template"].has_slots
        read.extend(lists)
        return [Reading(written[len(read) - 1], Prompt((), ()))]

    monkeypatch.setattr(reader, "read", answer)
    records = described([*RECORDS[:3], record(50, documents=0)])
    kept = with_own_answers(records, reader)
    assert [one.record.answers for one in kept] == [("It was built in 1400.",)]
    assert kept[0].ranked is records[0].ranked
    assert [ranked.documents for ranked in read] == [one.documents[:1] for one in RECORDS[:3]]
