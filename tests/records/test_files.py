from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2ag.errors import InputError
from r2ag.records import files, read_files, read_records, write_records
from r2ag.types import Document, Record

GOOD = {
    "id": "nq-1",
    "question": "Who built the bridge?",
    "answers": ["a mason", "the mason"],
    "documents": [{"title": "Bridge", "text": "A mason built it.", "relevant": True}, {"text": "It fell."}],
}
NAMES = pytest.mark.parametrize("name", ["nq.jsonl", "nq.jsonl.gz"])

TEXT = st.text(st.characters(exclude_categories=()), max_size=20)  # lone surrogates too
SPOKEN = TEXT.filter(str.strip)
SCORES = st.dictionaries(TEXT, st.floats(allow_nan=False, allow_infinity=False), max_size=2)
DOCUMENTS = st.builds(Document, text=TEXT, title=TEXT, relevant=st.booleans(), scores=SCORES)
RECORDS = st.builds(
    Record,
    id=TEXT,
    question=SPOKEN,
    answers=st.lists(SPOKEN, min_size=1, max_size=3).map(tuple),
    documents=st.lists(DOCUMENTS, min_size=1, max_size=3).map(tuple),
    dataset=st.just("nq"),
)


def write_lines(path, *lines: str | bytes) -> None:
    content = b"\n".join(line.encode() if isinstance(line, str) else line for line in lines)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def test_files_of_one_name_are_data_sets_of_their_own(tmp_path):
    paths = [tmp_path / name for name in ("nq/test.jsonl", "qa/test.jsonl.gz", "qa/dev.jsonl", "dev.d/dev.jsonl")]
    paths += [tmp_path / "qa" / "train.jsonl", tmp_path / "qa" / "train.jsonl.gz", tmp_path / "one.jsonl"]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        write_lines(path, json.dumps(GOOD))
    names = [record.dataset for records in read_files(paths) for record in records]
    assert names == ["nq/test", "qa/test", "qa/dev", "dev.d/dev", "qa/train", "qa/train-2", "one"]


@NAMES
def test_reading(tmp_path, name):
    other = GOOD | {"id": 7, "question": "¿Quién?", "documents": [{"title": None, "text": "北京"}], "more": 1}
    write_lines(tmp_path / name, json.dumps(GOOD), "", json.dumps(other, ensure_ascii=False) + "\r", "")
    first, second = read_records(str(tmp_path / name))
    assert first == Record(
        id="nq-1",
        question="Who built the bridge?",
        answers=("a mason", "the mason"),
        documents=(Document("A mason built it.", "Bridge", relevant=True), Document("It fell.", relevant=False)),
        dataset="nq",
    )
    assert (second.id, second.question, second.documents) == ("7", "¿Quién?", (Document("北京", relevant=False),))


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    write_lines(tmp_path / "nq.jsonl", b"\xef\xbb\xbf" + json.dumps(GOOD).encode())
    assert read_records(tmp_path / "nq.jsonl")[0].id == "nq-1"


def test_without_an_id_the_question_names_the_record_wherever_the_file_is(tmp_path):
    line = json.dumps({key: value for key, value in GOOD.items() if key != "id"})
    write_lines(tmp_path / "one.jsonl", line)
    write_lines(tmp_path / "two.jsonl", json.dumps(GOOD), line)
    assert read_records(tmp_path / "one.jsonl")[0].id == read_records(tmp_path / "two.jsonl")[1].id


@NAMES
@given(records=st.lists(RECORDS, min_size=1, max_size=3))
def test_what_is_written_is_read_again(tmp_path_factory, name, records):
    path = tmp_path_factory.mktemp("records") / "new" / name
    write_records(records, path)
    assert read_records(path) == records
    assert [file.name for file in path.parent.iterdir()] == [name]


def test_other_scripts_stay_legible_in_the_file(tmp_path):
    write_records([Record("1", "北京?", ("é",), (Document("שלום"),))], tmp_path / "r.jsonl")
    content = (tmp_path / "r.jsonl").read_text(encoding="utf-8")
    assert "北京?" in content
    assert "שלום" in content


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "r.jsonl"
    old = [Record("1", "q", ("a",), (Document("t", relevant=False),), "r")]
    write_records(old, path)

    def failing():
        yield old[0]
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_records(failing(), path)
    assert read_records(path) == old
    assert list(tmp_path.iterdir()) == [path]


@NAMES
@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{", "not valid JSON"),
        (json.dumps(GOOD)[:-5], "not valid JSON"),
        (json.dumps(GOOD) * 2, "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ('{"id": ' + "1" * 5_000 + "}", "not valid JSON"),
        (b'{"id": "\xff\xfe"}', "not UTF-8 text"),
        ("[]", "not a JSON object"),
        ("null", "not a JSON object"),
        (json.dumps(GOOD | {"question": " "}), '"question" is missing or empty'),
        (json.dumps(GOOD | {"question": None}), '"question" is missing or empty'),
        (json.dumps(GOOD | {"answers": []}), '"answers" must be a list'),
        (json.dumps(GOOD | {"answers": "a mason"}), '"answers" must be a list'),
        (json.dumps(GOOD | {"answers": ["a", ""]}), '"answers" must be a list'),
        (json.dumps(GOOD | {"answers": [1]}), '"answers" must be a list'),
        (json.dumps(GOOD | {"documents": []}), '"documents" must be a list'),
        (json.dumps(GOOD | {"documents": {"text": "a"}}), '"documents" must be a list'),
        (json.dumps(GOOD | {"documents": [{"text": "a"}, "b"]}), 'document 2: needs "text"'),
        (json.dumps(GOOD | {"documents": [{"title": "a"}]}), 'document 1: needs "text"'),
        (json.dumps(GOOD | {"documents": [{"text": "a", "title": 1}]}), 'document 1: "title" must be a string'),
        (json.dumps(GOOD | {"documents": [{"text": "a", "scores": {"bm25": "high"}}]}), '"scores" must be an object'),
        (json.dumps(GOOD | {"documents": [{"text": "a", "relevant": 1}]}), '"relevant" true or false'),
    ],
)
def test_a_bad_line_is_named(tmp_path, name, line, sentence):
    path = tmp_path / name
    write_lines(path, json.dumps(GOOD), "", line, json.dumps(GOOD))
    with pytest.raises(InputError) as error:
        read_records(path)
    assert str(error.value).startswith(f"{path}, line 3")
    assert sentence in str(error.value)


def test_a_line_that_is_too_long_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_LINE_BYTES", 1_000)
    path = tmp_path / "nq.jsonl"
    write_lines(path, json.dumps(GOOD), json.dumps(GOOD | {"id": "x" * 1_000}))
    with pytest.raises(InputError, match=r"nq\.jsonl, line 2: longer than 1,000 bytes"):
        read_records(path)


def _truncated(path):
    whole = gzip.compress(json.dumps(GOOD).encode() * 50)
    path.write_bytes(whole[:-20])


def _damaged(path):
    whole = bytearray(gzip.compress(json.dumps(GOOD).encode() * 50))
    whole[40] ^= 0xFF
    path.write_bytes(whole)


@pytest.mark.parametrize(
    ("name", "make", "sentence"),
    [
        ("none.jsonl", lambda path: None, "There is no file"),
        ("folder.jsonl", lambda path: path.mkdir(), "is a folder"),
        ("empty.jsonl", lambda path: path.write_text("\n \n"), "holds no records"),
        ("plain.jsonl.gz", lambda path: path.write_text(json.dumps(GOOD)), "is not a whole gzip file"),
        ("cut.jsonl.gz", _truncated, "is not a whole gzip file"),
        ("damaged.jsonl.gz", _damaged, "is not a whole gzip file"),
        ("a/b.jsonl", lambda path: path.parent.write_text(""), "can't be read"),
    ],
)
def test_a_bad_file_is_named(tmp_path, name, make, sentence):
    path = tmp_path / name
    make(path)
    with pytest.raises(InputError) as error:
        read_records(path)
    assert str(path) in str(error.value)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)
