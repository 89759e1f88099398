"""The commands on data sets, with a tiny encoder and a tiny tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest

from r2ag.cli.data.records import DataFormat
from r2ag.records import read_records
from r2ag.records.formats import FORMATS
from tests.cli.conftest import Command, Tiny, record, write_records
from tests.records.formats import samples

CORPUS = [{"_id": f"d{i}", "title": "Bridge", "text": f"The bridge number {i} fell in {1400 + i}."} for i in range(9)]
QUERIES = [{"_id": "q3", "text": "When did the bridge number 3 fall?", "metadata": {"answer": "1403"}}]


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    (tmp_path / "beir" / "qrels").mkdir(parents=True)
    write_records(tmp_path / "beir" / "corpus.jsonl", CORPUS)
    write_records(tmp_path / "beir" / "queries.jsonl", QUERIES)
    (tmp_path / "beir" / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq3\td3\t1\n")
    return tmp_path / "beir"


def test_the_forms_of_the_option_are_those_there_are() -> None:
    assert set(get_args(DataFormat)) == {form.name for form in FORMATS} | {"beir"}


@pytest.mark.parametrize("name", samples.ALL)
def test_converting(r2ag: Command, tmp_path: Path, name: str) -> None:
    source = write_records(tmp_path / "published.jsonl", [samples.ALL[name]] * 2)
    outcome = r2ag("data", "convert", source, "--output", tmp_path / "ours.jsonl.gz")
    assert outcome.status == 0, outcome.err
    assert name in outcome.out
    assert len(read_records(tmp_path / "ours.jsonl.gz")) == 2
    again = r2ag("data", "convert", source, "--format", name, "--output", tmp_path / "again.jsonl.gz", "--seed", 0)
    assert again.status == 0, again.err
    assert [r.documents for r in read_records(tmp_path / "again.jsonl.gz")] == [
        r.documents for r in read_records(tmp_path / "ours.jsonl.gz")
    ]


def test_what_was_left_out_is_told(r2ag: Command, tmp_path: Path) -> None:
    rows = [samples.MUSIQUE, samples.MUSIQUE | {"answerable": False}]
    outcome = r2ag("data", "convert", write_records(tmp_path / "m.jsonl", rows), "--output", tmp_path / "o.jsonl")
    assert "1 without an answer or without documents" in " ".join(outcome.out.split())
    assert len(read_records(tmp_path / "o.jsonl")) == 1


def test_open_retrieval(r2ag: Command, tiny: Tiny, beir: Path, tmp_path: Path) -> None:
    options = ["--retriever", tiny.encoder, "--documents", 4, "--output", tmp_path / "o.jsonl"]
    outcome = r2ag("data", "convert", beir, *options)
    assert outcome.status == 0, outcome.err
    (found,) = read_records(tmp_path / "o.jsonl")
    assert (found.id, found.answers, len(found.documents)) == ("q3", ("1403",), 4)
    stats = r2ag("data", "stats", beir, "--retriever", tiny.encoder, "--llm", tiny.llm, "--json")
    figures = json.loads(stats.out)["data"][0]
    assert (figures["form"], figures["records"], figures["documents_mean"]) == ("beir", 1, 9)
    assert 1 / 9 <= figures["retrieval"]["map"] <= 1
    write_records(beir / "queries.jsonl", [QUERIES[0] | {"metadata": {}}])
    assert "data stats" in r2ag.refused("data", "convert", beir, *options)
    assert "from test" in r2ag.refused("data", "convert", beir, *options, "--split", "dev")


def test_statistics(r2ag: Command, tiny: Tiny, tmp_path: Path) -> None:
    hotpot = write_records(tmp_path / "hotpot.jsonl", [samples.HOTPOTQA] * 2)
    common = ["data", "stats", tiny.records, hotpot, "--llm", tiny.llm]
    outcome = r2ag(*common, "--retriever", tiny.encoder, "--json")
    assert outcome.status == 0, outcome.err
    found = json.loads(outcome.out)
    assert found["models"] == {"llm": str(tiny.llm), "retriever": str(tiny.encoder)}
    ours, theirs = found["data"]
    assert (ours["file"], ours["form"], ours["records"]) == (str(tiny.records), "r2ag", 60)
    assert (ours["documents_mean"], ours["relevant_mean"], ours["without_relevant"]) == (4, 1, 0)
    assert (theirs["form"], theirs["records"], theirs["documents_mean"], theirs["relevant_mean"]) == (
        "hotpotqa",
        2,
        3,
        2,
    )
    assert ours["tokens_a_record"] == pytest.approx(4 * ours["tokens_a_document"])
    assert {"map", "map_ci95", "recall_at_5", "ndcg_at_10"} <= set(ours["retrieval"])
    table = r2ag(*common)
    assert table.out.splitlines()[0].startswith("| data | records | documents | relevant |")
    assert "| hotpot | 2 | 3.0 | 2.00 |" in table.out
    assert "MAP" not in table.out


def test_mining(r2ag: Command, tiny: Tiny, tmp_path: Path) -> None:
    pool = write_records(tmp_path / "pool.jsonl", [*CORPUS, {"text": "Something fell in 1401."}])
    options = ["--retriever", tiny.encoder, "--count", 3, "--output", tmp_path / "mined.jsonl"]
    outcome = r2ag("data", "mine", tiny.records, *options, "--pool", pool, tiny.documents)
    assert outcome.status == 0, outcome.err
    mined = read_records(tmp_path / "mined.jsonl")
    assert len(mined) == 60
    for found in mined:
        assert len(found.documents) == 4
        assert sum(bool(document.relevant) for document in found.documents) == 1
        distractors = [document.text for document in found.documents if not document.relevant]
        assert not any(found.answers[0] in text for text in distractors)
    places = {[d.relevant for d in found.documents].index(True) for found in mined}
    assert places == {0, 1, 2, 3}, "the relevant one does not always stand first"


def test_mining_from_the_passages_of_all_questions(r2ag: Command, tiny: Tiny, tmp_path: Path) -> None:
    unlabelled = {**record(7), "documents": [{"text": "Nothing is relevant."}]}
    source = write_records(tmp_path / "q.jsonl", [*(record(index) for index in range(5)), unlabelled])
    options = ["--retriever", tiny.encoder, "--count", 30, "--output", tmp_path / "mined.jsonl.gz"]
    outcome = r2ag("data", "mine", source, *options)
    assert outcome.status == 0, outcome.err
    told = " ".join(outcome.out.split())
    assert "1 without a relevant passage" in told
    assert "5 with less than 30" in told
    assert all(len(found.documents) == 1 + 16 + 1 for found in read_records(tmp_path / "mined.jsonl.gz"))


def test_bad_input(r2ag: Command, tiny: Tiny, tmp_path: Path) -> None:
    output = ["--output", tmp_path / "o.jsonl"]
    (tmp_path / "folder").mkdir()
    broken = tmp_path / "broken.jsonl"
    broken.write_text(json.dumps(samples.NQ) + "\n{")
    for command in ("convert", "mine"):
        assert "missing.jsonl" in r2ag.refused("data", command, tmp_path / "missing.jsonl", *output)
        assert "broken.jsonl, line 2" in r2ag.refused("data", command, broken, *output)
        assert "--output" in r2ag.refused("data", command, tiny.records, "--output", tmp_path / "folder")
        assert ".jsonl.gz" in r2ag.refused("data", command, tiny.records, "--output", tmp_path / "o.csv")
    assert "BEIR" in r2ag.refused("data", "convert", tmp_path / "folder", *output)
    assert "BEIR" in r2ag.refused("data", "convert", tiny.records, "--format", "beir", *output)
    assert "musique" in r2ag.refused("data", "convert", tiny.records, "--format", "squad", *output)
    assert "line 1" in r2ag.refused("data", "convert", tiny.records, "--format", "musique", *output)
    assert "--pool" in r2ag.refused("data", "mine", tiny.records, tmp_path / "pool.jsonl", *output)
    assert "missing" in r2ag.refused("data", "mine", tiny.records, *output, "--pool", tmp_path / "missing")
    labelless = [{**record(0), "documents": [{"text": "It fell."}]}]
    source = write_records(tmp_path / "q.jsonl", labelless)
    assert "relevant passage" in r2ag.refused("data", "mine", source, *output)
    assert "broken.jsonl, line 2" in r2ag.refused("data", "stats", broken, "--llm", tiny.llm)
    assert "r2ag data --help" in r2ag.refused("data")
    assert not (tmp_path / "o.jsonl").exists()


def test_packages_that_are_missing_are_named(r2ag: Command, tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("r2ag.cli.checks.find_spec", lambda name: None if name == "ir_measures" else name)
    sentence = r2ag.refused("eval", "--data", tiny.records)
    assert sentence == "r2ag: Evaluation needs ir-measures; install with: pip install 'r2ag[eval]'"
    assert "r2ag[eval]" in r2ag.refused("data", "stats", tiny.records, "--retriever", tiny.encoder)
