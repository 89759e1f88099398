from __future__ import annotations

import sqlite3

import pytest

from r2ag.retrieval.bm25 import bm25_scores
from r2ag.types import Document

BRIDGE, RIVER = Document("The bridge fell into the river."), Document("A river runs here.", title="The river")


def test_rare_words_count_more_and_titles_count() -> None:
    others = [Document(f"A river, number {number}.") for number in range(20)]
    ((bridge, river), *_) = bm25_scores([("Which bridge?", [BRIDGE, RIVER]), ("What?", others)])
    assert bridge > 0 == river
    ((bridge, river),) = bm25_scores([("bridge river", [BRIDGE, RIVER])])
    assert bridge > river
    (scores,) = bm25_scores([("river", [RIVER, *others])])
    assert scores[0] == max(scores)


def test_every_document_has_a_score_whatever_is_asked() -> None:
    strange = Document('half \ud83d "quotes" OR NEAR( *', title="* ^")
    questions = ["", "???", 'the" OR *', "\ud83d", "桥在哪里"]
    found = bm25_scores([(question, [strange, strange, BRIDGE]) for question in questions])
    assert [len(row) for row in found] == [3] * 5
    assert found[0] == [0.0, 0.0, 0.0]
    assert all(row[0] == row[1] for row in found)


def test_the_index_in_memory_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[sqlite3.Connection] = []
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *arguments: made.append(connect(*arguments)) or made[-1])
    bm25_scores([("Which bridge?", [BRIDGE, RIVER])])
    with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
        made[0].execute("SELECT 1")
