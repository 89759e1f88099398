from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2ag.errors import InputError
from r2ag.records import read_records, write_records
from r2ag.records.formats import FORMATS, convert, detect, read_data_set
from r2ag.records.formats.rows import Row
from r2ag.types import Document, Record
from tests.records.formats import samples
from tests.records.formats.samples import Fields


def converted(fields: Fields, seed: int = 0) -> Record:
    (record,) = convert([Row(fields, "here")], "set.jsonl", seed=seed).records
    return record


def write(path: Path, rows: Sequence[Any], array: bool = False) -> Path:
    text = json.dumps(rows, indent=1) if array else "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def labels(record: Record) -> list[bool | None]:
    return [document.relevant for document in record.documents]


@pytest.mark.parametrize("name", samples.ALL)
def test_each_form_is_known_by_its_fields(name: str) -> None:
    assert detect(Row(samples.ALL[name], "here")).name == name
    assert {form.name for form in FORMATS} == set(samples.ALL)


def test_nq() -> None:
    record = converted(samples.NQ)
    assert (record.id, record.question, record.dataset) == (record.question, samples.NQ["question"], "set")
    assert record.answers == ("a mason", "Ann Mason")
    assert set(record.documents) == {
        Document("A mason built it.", "Town bridge", relevant=True),
        Document("The river is long.", "River", relevant=False),
        Document("It fell in 1802.", relevant=False),
    }


@given(st.permutations(samples.NQ["ctxs"]), st.integers(0, 3))
def test_the_place_of_the_gold_document_leaves_no_trace(passages: list[Any], seed: int) -> None:
    assert converted(samples.NQ | {"ctxs": passages}, seed) == converted(samples.NQ, seed)


def test_the_gold_document_comes_to_stand_everywhere() -> None:
    def place(number: int, seed: int) -> int:
        passages = [passage | {"text": f"{passage['text']} {number}"} for passage in samples.NQ["ctxs"]]
        return labels(converted(samples.NQ | {"ctxs": passages}, seed)).index(True)

    for places in ([place(number, 0) for number in range(300)], [place(0, seed) for seed in range(300)]):
        assert all(70 < places.count(expected) < 130 for expected in range(3))


@pytest.mark.parametrize("fields", [samples.HOTPOTQA, samples.TWO_WIKI, samples.HUB_HOTPOTQA])
def test_hotpotqa_and_2wikimultihopqa(fields: Fields) -> None:
    record = converted(fields)
    assert (record.id, record.answers) == ("5a7a", ("Ulm",))
    assert record.documents == (
        Document("The river is long. It is cold.", "River", relevant=False),
        Document("A mason. Born in Ulm.", "Mason", relevant=True),
        Document("Built by Mason.", "Bridge", relevant=True),
    )


def test_musique() -> None:
    record = converted(samples.MUSIQUE)
    assert record.answers == ("Ulm", "Ulm on the Danube")
    assert record.documents[1] == Document("Born in Ulm.", "Mason", relevant=True)
    assert labels(record) == [False, True]


def test_what_has_no_answer_or_no_documents_is_left_out_and_counted() -> None:
    unanswerable = samples.MUSIQUE | {"answerable": False}
    found = convert([Row(fields, "here") for fields in (unanswerable, samples.MUSIQUE, unanswerable)], "set")
    assert (len(found.records), found.left_out, found.format) == (1, 2, "musique")
    bare = samples.FLASHRAG | {"metadata": {"source": "wiki"}}
    with pytest.raises(InputError, match="none of its 1 entries has both"):
        convert([Row(bare, "here")], "set")


def test_dureader() -> None:
    record = converted(samples.DUREADER)
    assert (record.id, record.answers) == ("186358", ("石匠。",))
    assert record.documents == (
        Document("桥很老。\n石匠建的。", "石桥", relevant=True),
        Document("河很长。", "河", relevant=False),
    )


def test_longbench() -> None:
    record = converted(samples.LONGBENCH)
    assert record.id == "d1"
    assert [(document.title, document.text) for document in record.documents] == [
        ("河", "河很长，\n文章7\n水很冷。"),
        ("石桥", "这座桥是一位老石匠在一四七一年建成的。"),
        ("", "没有标题的文章。"),
    ]
    # the answer's 7 pairs: 一位 位老 老石 石匠 匠建 建成 成的; the second article holds 6 of them, .86
    assert labels(record) == [False, True, False]


@pytest.mark.parametrize(("answer", "relevant"), [("老石匠", True), ("一位石匠", False), ("水很冷", False)])
def test_longbenchs_rule(answer: str, relevant: bool) -> None:
    record = converted(samples.LONGBENCH | {"answers": [answer]})  # 一位石匠: 2 of 3 pairs are there, less than .7
    assert record.documents[1].relevant is relevant


def test_flashrag() -> None:
    record = converted(samples.FLASHRAG)
    assert (record.id, record.answers) == ("test_0", ("Ulm",))
    assert record.documents == (
        Document("Born in Ulm.", "Mason", relevant=True),
        Document("Long. Cold.", "River", relevant=False),
    )


WORDS = st.text(st.characters(exclude_categories=()), min_size=1, max_size=9).filter(str.strip)
DOCUMENTS = st.builds(Document, text=WORDS, title=WORDS, relevant=st.booleans())
RECORDS = st.builds(
    Record,
    id=WORDS,
    question=WORDS,
    answers=st.lists(WORDS, min_size=1, max_size=3, unique=True).map(tuple),
    documents=st.lists(DOCUMENTS, min_size=1, max_size=4).map(tuple),
)


@given(st.lists(RECORDS, min_size=1, max_size=3))
def test_own_records_pass_unchanged(tmp_path_factory: pytest.TempPathFactory, records: list[Record]) -> None:
    path = tmp_path_factory.mktemp("records") / "own.jsonl.gz"
    write_records(records, path)
    found = read_data_set(path)
    assert (found.format, found.left_out, found.records) == ("r2ag", 0, read_records(path))


@given(RECORDS)
def test_every_musique_record_comes_back(record: Record) -> None:
    fields = {
        "id": record.id,
        "question": record.question,
        "answer": record.answers[0],
        "answer_aliases": list(record.answers[1:]),
        "paragraphs": [
            {"title": d.title, "paragraph_text": d.text, "is_supporting": d.relevant} for d in record.documents
        ],
    }
    assert converted(fields) == Record(record.id, record.question, record.answers, record.documents, "set")


@pytest.mark.parametrize("name", samples.ALL)
@pytest.mark.parametrize(
    ("file", "array"), [("a.json", True), ("a.jsonl", False), ("a.json.gz", True), ("a.gz", False)]
)
def test_files(tmp_path: Path, name: str, file: str, array: bool) -> None:
    found = read_data_set(write(tmp_path / file, [samples.ALL[name]] * 3, array))
    assert found.format == name
    assert {record.dataset for record in found.records} == {"a"}
    assert [record.documents for record in found.records] == [converted(samples.ALL[name]).documents] * 3


def refusal(fields: Fields, name: str) -> str | None:
    try:
        convert([Row(fields, "set.jsonl, line 1")], "set.jsonl", name)
    except InputError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", samples.ALL)
@given(data=st.data())
def test_a_damaged_entry_is_one_sentence_or_still_a_record(name: str, data: st.DataObject) -> None:
    """Any field, at any depth, may be missing or hold something else."""
    fields = copy.deepcopy(samples.ALL[name])
    place: Any = fields
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    if isinstance(place, dict) and data.draw(st.booleans()):
        del place[key]
    else:
        place[key] = data.draw(st.sampled_from([None, 3, True, "", " ", "word", [], [1], ["a", "b"], {}, {"a": 1}]))
    sentence = refusal(fields, name)
    assert sentence is None or (sentence.startswith("set.jsonl") and "\n" not in sentence)


def test_an_unknown_form_is_told(tmp_path: Path) -> None:
    file = write(tmp_path / "squad.jsonl", [{"title": "t", "paragraphs": [{"qas": []}]}])
    with pytest.raises(InputError, match=r"squad\.jsonl, line 1: its fields \(title, paragraphs\) .* --format"):
        read_data_set(file)
    with pytest.raises(InputError, match="no form 'squad'; choose one of r2ag"):
        read_data_set(file, "squad")


def test_the_line_that_is_wrong_is_named(tmp_path: Path) -> None:
    hidden = {key: value for key, value in samples.MUSIQUE.items() if key != "answer"}
    file = write(tmp_path / "m.jsonl", [samples.MUSIQUE, hidden])
    with pytest.raises(InputError, match=r'm\.jsonl, line 2: "answer" must be a string'):
        read_data_set(file)
    wrong = copy.deepcopy(samples.MUSIQUE)
    wrong["paragraphs"][1]["is_supporting"] = 1
    array = write(tmp_path / "m.json", [samples.MUSIQUE] * 4 + [wrong], array=True)
    with pytest.raises(InputError, match=r'm\.json, entry 5, paragraphs 2: "is_supporting" must be true or false'):
        read_data_set(array)


def test_a_name_that_reads_like_the_hubs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner").mkdir()
    write(tmp_path / "owner" / "records", [samples.OWN])
    assert read_data_set("owner/records").records[0].id == "1"
    with pytest.raises(InputError, match=r"There is no file owner/missing\.jsonl"):
        read_data_set("owner/missing.jsonl")


def test_a_data_set_that_the_datasets_library_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library takes a folder of files for a data set as it takes the hub's."""
    from r2ag.records.formats.rows import hub_rows

    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "set").mkdir()
    write(tmp_path / "set" / "validation.jsonl", [samples.HUB_HOTPOTQA] * 2)
    found = convert(hub_rows(str(tmp_path / "set"), split="validation"), "hotpotqa/hotpot_qa")
    assert (found.format, len(found.records)) == ("hotpotqa", 2)
    assert found.records[0].documents == converted(samples.HUB_HOTPOTQA).documents
    with pytest.raises(InputError, match="check the name, --subset, --split and the network"):
        list(hub_rows(str(tmp_path / "set"), split="missing"))


def test_without_the_datasets_library(monkeypatch: pytest.MonkeyPatch) -> None:
    from r2ag.records.formats import rows

    monkeypatch.setattr(rows, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"no file or folder owner/name; .* pip install 'r2ag\[train\]'"):
        read_data_set("owner/name")
