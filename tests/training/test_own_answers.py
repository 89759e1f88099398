from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from r2ag.answering.reader import Reader, Reading
from r2ag.engines.generation import Generation
from r2ag.method.prompting import Prompt
from r2ag.training.own_answers import OwnAnswers
from r2ag.types import RankedList
from tests.tiny import tiny_adapter, tiny_llm, tiny_tokenizer
from tests.training.conftest import RECORDS, described, record

# A random LLM is never right, so its answers are set here.
WRITTEN = {
    "When was the bridge number 0 built?": Generation("It was built in 1400.", 6, 1.0, 1.0),
    "When was the bridge number 1 built?": Generation("It was built in 1999.", 6, 1.0, 1.0),
    "When was the bridge number 2 built?": Generation("It was built in 1402 and then", 48, 1.0, 1.0),  # not at its end
}


@pytest.fixture
def asked() -> list[RankedList]:
    return []


@pytest.fixture
def reader(asked, monkeypatch) -> Reader:
    tokenizer = tiny_tokenizer("bytes", "chatml")
    llm = tiny_llm(vocabulary=len(tokenizer))
    reader = Reader(llm, tokenizer, tiny_adapter(llm, tokenizer))

    def answer(lists: Sequence[RankedList], assessment: object, *arguments: Any, **options: Any) -> list[Reading]:
        assert assessment is None
        assert not options["template"].has_slots
        asked.extend(lists)
        return [Reading(WRITTEN[ranked.question], Prompt((), ())) for ranked in lists]

    monkeypatch.setattr(reader, "read", answer)
    return reader


def test_correct_answers_to_the_relevant_documents_alone_are_kept(reader, asked, tmp_path):
    records = described([*RECORDS[:3], record(50, documents=0)])
    kept = OwnAnswers(reader, tmp_path / "own.jsonl", batch_size=2).to(records, correct_only=True)
    assert [one.record.answers for one in kept] == [("It was built in 1400.",)]
    assert kept[0].ranked is records[0].ranked
    assert {ranked.documents for ranked in asked} == {one.documents[:1] for one in RECORDS[:3]}


def test_wrong_answers_are_kept_where_wanted_but_not_unended_ones(reader, tmp_path):
    kept = OwnAnswers(reader, tmp_path / "own.jsonl").to(described(RECORDS[:3]), correct_only=False)
    assert [one.record.answers for one in kept] == [("It was built in 1400.",), ("It was built in 1999.",)]


def test_a_stopped_run_asks_only_what_is_missing(reader, asked, tmp_path):
    file = tmp_path / "own.jsonl"
    records = described(RECORDS[:3])
    first = OwnAnswers(reader, file).to(records, correct_only=True)
    lines = file.read_text().splitlines(keepends=True)
    file.write_text(lines[0] + lines[1][:9])  # killed while it wrote
    asked.clear()
    assert OwnAnswers(reader, file).to(records, correct_only=True) == first
    assert len(asked) == 2
    asked.clear()
    assert OwnAnswers(reader, file).to(records, correct_only=True) == first  # nothing stands behind the half line
    assert not asked
