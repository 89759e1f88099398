from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from r2ag.errors import InputError
from r2ag.records.mine import mine_distractors, read_pool
from r2ag.types import Document, Record
from tests.tiny import tiny_encoder

WORDS = ("bridge", "mason", "river", "town", "1471", "tower", "cake")


class WordEncoder:
    """A vector counts the words it knows, so that a product counts those that two texts share."""

    def encode_queries(self, queries: Sequence[str]) -> np.ndarray:
        return np.array([[query.lower().count(word) for word in WORDS] for query in queries], dtype=np.float32)

    def encode_documents(self, documents: Sequence[Document], progress: bool = False) -> np.ndarray:
        return self.encode_queries([document.passage for document in documents])


GOLD = Document("The bridge over the river was built by a mason.", "Town bridge", relevant=True)
RECORD = Record(
    "1", "Who built the bridge over the river to the town?", ("a mason",), (GOLD, Document("old", relevant=False))
)
POOL = [
    Document("A cake."),
    Document("A town by a river."),
    Document("A bridge over a river near the town, made by A MASON!"),
    Document("The bridge over a river near a town: the masonry is old."),
    Document(GOLD.text, GOLD.title),
    Document("A town by a river."),
    Document("A bridge."),
]


def mined(count: int, answers: tuple[str, ...] = ("a mason",)) -> Record:
    record = Record(RECORD.id, RECORD.question, answers, RECORD.documents)
    (found,) = mine_distractors([record], POOL, WordEncoder(), count)
    return found


def test_the_nearest_passages_without_an_answer():
    found = mined(3)
    assert (found.id, found.question, found.answers) == (RECORD.id, RECORD.question, RECORD.answers)
    assert found.documents[0] == GOLD
    assert [document.text for document in found.documents[1:]] == [POOL[3].text, POOL[1].text, POOL[6].text]
    assert all(document.relevant is False for document in found.documents[1:])


def test_yes_and_no_are_not_looked_for():
    texts = [document.text for document in mined(9, ("yes", "no", "!")).documents[1:]]
    assert POOL[2].text in texts
    assert len(texts) == 5


def test_many_records_at_once():
    records = [RECORD] * 300
    assert mine_distractors(records, POOL, WordEncoder(), 3) == [mined(3)] * 300


@pytest.mark.parametrize(("pool", "count"), [([], 1), (POOL, 0)])
def test_nothing_to_mine_from_is_refused(pool, count):
    with pytest.raises(InputError, match="Mining needs"):
        mine_distractors([RECORD], pool, WordEncoder(), count)


def test_passages_of_every_kind(tmp_path: Path) -> None:
    lines = [
        {"_id": "1", "title": "Bridge", "text": "It is old."},
        {"id": "2", "contents": '"River"\nIt is long.\nAnd cold.'},
        {"text": "No title."},
        {"contents": "One line."},
    ]
    (tmp_path / "pool.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "note.md").write_text("# Cake\n\nIt is sweet.\n")
    assert read_pool([tmp_path / "pool.jsonl"], tiny_encoder()) == [
        Document("It is old.", "Bridge"),
        Document("It is long.\nAnd cold.", "River"),
        Document("No title."),
        Document("One line."),
    ]
    assert [document.text for document in read_pool([tmp_path / "pool.jsonl", tmp_path / "note.md"], tiny_encoder())][
        4:
    ] == ["It is sweet."]


@pytest.mark.parametrize("line", [{"title": "t"}, {"text": ""}, {"text": 1}, {"contents": None}])
def test_a_line_without_a_passage_is_named(tmp_path: Path, line: object) -> None:
    (tmp_path / "pool.jsonl").write_text(json.dumps(line))
    with pytest.raises(InputError, match=r"pool\.jsonl, line 1"):
        read_pool([tmp_path / "pool.jsonl"], tiny_encoder())
