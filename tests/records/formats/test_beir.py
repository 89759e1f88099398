from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from r2ag.errors import InputError
from r2ag.records.formats import rows
from r2ag.records.formats.beir import is_beir, read_beir
from r2ag.types import Document
from tests.records.test_mine import WordEncoder

CORPUS = [
    {"_id": "d1", "title": "Bridge", "text": "The bridge over the river was built by a mason."},
    {"_id": "d2", "title": "", "text": "A town by a river."},
    {"_id": "d3", "title": "Cake", "text": "A cake."},
]
QUERIES = [
    {"_id": "q1", "text": "Who built the bridge over the river?", "metadata": {"answer": "a mason"}},
    {"_id": "q2", "text": "Which town has a cake?", "metadata": {}},
    {"_id": "q3", "text": "Nobody judged this.", "metadata": {"answer": "x"}},
]
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td3\t0\nq2\td3\t1\nq2\tgone\t1\n"


@pytest.fixture(params=["", ".gz"])
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    root = tmp_path / "bridges"
    (root / "qrels").mkdir(parents=True)
    for name, text in (
        ("corpus.jsonl", "".join(json.dumps(row) + "\n" for row in CORPUS)),
        ("queries.jsonl", "".join(json.dumps(row) + "\n" for row in QUERIES)),
        ("qrels/test.tsv", QRELS),
    ):
        data = text.encode()
        (root / f"{name}{request.param}").write_bytes(gzip.compress(data) if request.param else data)
    return root


def test_corpus_questions_and_judgements(folder: Path) -> None:
    assert is_beir(folder)
    found = read_beir(folder)
    assert found.name == "bridges"
    assert found.corpus[0] == Document(CORPUS[0]["text"], "Bridge")
    assert [(q.id, q.answers, q.relevant) for q in found.questions] == [("q1", ("a mason",), {0}), ("q2", (), {2})]


def test_searching_and_records(folder: Path) -> None:
    found = read_beir(folder)
    nearest = found.search(WordEncoder(), 2)  # type: ignore[arg-type]
    assert nearest.tolist() == [[0, 1], [2, 1]]
    (record,) = found.records(nearest)
    assert (record.id, record.answers, record.dataset) == ("q1", ("a mason",), "bridges")
    assert {document.text: document.relevant for document in record.documents} == {
        CORPUS[0]["text"]: True,
        CORPUS[1]["text"]: False,
    }
    reversed_ = found.records(np.flip(nearest, axis=1))
    assert reversed_[0].documents == record.documents, "the rank leaves no trace"


@pytest.mark.parametrize(
    ("qrels", "sentence"),
    [
        ("query-id\tcorpus-id\tscore\nq1\td1\n", "line 2: must be a question's id"),
        ("query-id\tcorpus-id\tscore\nq1\td1\thigh\n", "line 2: must be a question's id"),
        ("query-id\tcorpus-id\tscore\nq9\td1\t1\n", "no question of queries.jsonl is judged"),
        (None, "choose --split from train"),
    ],
)
def test_judgements_that_cannot_be_used(tmp_path: Path, qrels: str | None, sentence: str) -> None:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text(json.dumps(CORPUS[0]))
    (tmp_path / "queries.jsonl").write_text(json.dumps(QUERIES[0]))
    (tmp_path / "qrels" / ("train.tsv" if qrels is None else "test.tsv")).write_text(qrels or QRELS)
    with pytest.raises(InputError, match=sentence):
        read_beir(tmp_path)


def test_a_corpus_that_is_too_large(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MAX_PASSAGES", 2)
    with pytest.raises(InputError, match="more than 2 passages"):
        read_beir(folder)
