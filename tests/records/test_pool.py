from __future__ import annotations

import json
from pathlib import Path

import pytest

from r2ag.errors import InputError
from r2ag.records.pool import read_pool
from r2ag.types import Document
from tests.tiny import tiny_encoder


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
