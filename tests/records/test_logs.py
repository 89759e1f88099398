from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from r2ag.errors import InputError
from r2ag.records.logs import LoggedQuestion, label, read_log
from r2ag.types import Document
from tests.tiny import tiny_encoder

PASSAGES = {
    3: Document("It fell in 1802.", "Bridge", "notes/bridge.md"),
    4: Document("It was built by a mason.", "Bridge", "notes/bridge.md"),
    7: Document("It fell in 1802 as well.", "Tower", "old/notes/tower.md"),
    9: Document("It rains.", "Bridge", "old/bridge.md"),
}


def log(tmp_path: Path, *lines: object) -> Path:
    file = tmp_path / "log.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return file


def test_the_forms_of_a_line(tmp_path: Path) -> None:
    file = log(
        tmp_path,
        {"id": 5, "question": "When?", "answers": ["1802", "in 1802"], "sources": ["a.md", "b.md"]},
        {"question": "Who?", "answer": "a mason", "source": "a.md"},
        {"question": "Why?", "answer": "rain", "passages": [3]},
    )
    assert read_log(file) == [
        LoggedQuestion("5", "When?", ("1802", "in 1802"), ("a.md", "b.md")),
        LoggedQuestion("Who?", "Who?", ("a mason",), ("a.md",)),
        LoggedQuestion("Why?", "Why?", ("rain",), (), (3,)),
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (7, "line 1: not a JSON object"),
        ([], "holds no questions"),
        ({"question": "", "answer": "x", "source": "a.md"}, '"question"'),
        ({"question": "Who?", "source": "a.md"}, '"answer"'),
        ({"question": "Who?", "answers": [], "source": "a.md"}, '"answers"'),
        ({"question": "Who?", "answer": "x"}, '"sources" must name the good files'),
        ({"question": "Who?", "answer": "x", "sources": [1]}, '"sources"'),
        ({"question": "Who?", "answer": "x", "passages": ["1"]}, '"passages"'),
    ],
)
def test_lines_that_are_none(tmp_path: Path, line: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_log(log(tmp_path, line))


def test_an_empty_log(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no questions"):
        read_log(log(tmp_path))


def asked(*sources: str, answer: str = "1802", passages: tuple[int, ...] = ()) -> LoggedQuestion:
    return LoggedQuestion("1", "When did it fall?", (answer,), sources, passages)


def relevant(question: LoggedQuestion) -> list[int]:
    (record,) = label([question], PASSAGES, tiny_encoder()).records
    assert all(document.relevant for document in record.documents)
    return [next(i for i, p in PASSAGES.items() if p.text == d.text) for d in record.documents]


def test_passages_of_good_files_that_hold_the_answer() -> None:
    assert relevant(asked("bridge.md")) == [3]
    assert relevant(asked("bridge.md", "notes/tower.md")) == [3, 7]
    assert relevant(asked("notes/bridge.md", answer="a mason")) == [4]


def test_as_much_of_the_path_as_the_log_gives() -> None:
    assert relevant(asked("old/bridge.md", answer="rains")) == [9]
    assert label([asked("new/bridge.md")], PASSAGES, tiny_encoder()).unknown == [asked("new/bridge.md")]


def test_where_none_holds_the_answer_the_nearest_counts() -> None:
    found = label([asked("notes/bridge.md", answer="never")], PASSAGES, tiny_encoder())
    encoder = tiny_encoder()
    scores = encoder.encode_documents([PASSAGES[3], PASSAGES[4]]) @ encoder.encode_queries(["When did it fall?"])[0]
    assert found.without_answer == 1
    assert found.records[0].documents[0].text == PASSAGES[(3, 4)[int(np.argmax(scores))]].text


def test_named_passages_are_relevant_as_they_are() -> None:
    assert relevant(asked(passages=(9, 4, 100))) == [9, 4]
    assert label([asked(passages=(100,))], PASSAGES, tiny_encoder()).records == []
