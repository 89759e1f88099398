from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from r2ag.adapter.adapter import Adapter
from r2ag.cli.evaluation import held_back_records
from r2ag.records import read_records, split_records
from tests.cli.conftest import Command, Tiny


@pytest.fixture
def folder(r2ag: Command, tiny: Tiny, tmp_path: Path) -> Path:
    output = tmp_path / "figures"
    models = ["--adapter", tiny.adapter, "--limit", 2, "--max-new-tokens", 2]
    outcome = r2ag("eval", "--data", tiny.records, *models, "--output", output)
    assert outcome.status == 0, outcome.err
    return output


def test_a_page_beside_the_results(r2ag: Command, folder: Path) -> None:
    outcome = r2ag("report", folder)
    assert outcome.status == 0, outcome.err
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "<title>figures</title>" in page
    assert "When did the bridge number" in page


def test_where_the_llm_looks_in_one_record(r2ag: Command, tiny: Tiny, folder: Path, tmp_path: Path) -> None:
    import json

    record = json.loads((folder / "records.jsonl").read_text().splitlines()[0])["id"]
    page = tmp_path / "page.html"
    options = ["--output", page, "--title", "Ours", "--attention", record, "--adapter", tiny.adapter]
    outcome = r2ag("report", folder, *options)
    assert outcome.status == 0, outcome.err
    shown = page.read_text(encoding="utf-8")
    assert f"(record {record})" in shown
    assert f"Adapter {tiny.adapter.name} on" in shown
    results = json.loads((folder / "results.json").read_text())
    results["models"]["llm"] = "some/other-llm"
    (folder / "results.json").write_text(json.dumps(results))
    assert "these results are of some/other-llm" in r2ag.refused("report", folder, *options)
    assert "no record has this id" in r2ag.refused("report", folder, "--attention", "gone", "--output", page)


def test_bad_input(r2ag: Command, folder: Path, tmp_path: Path) -> None:
    assert "r2ag eval --output" in r2ag.refused("report", tmp_path / "gone")
    assert "--output" in r2ag.refused("report", folder, "--output", tmp_path)
    (folder / "records.jsonl").unlink()
    assert "records.jsonl" in r2ag.refused("report", folder)
    assert not (folder / "report.html").exists()


def test_records_are_those_that_the_adapters_training_held_back(tiny: Tiny, tmp_path: Path) -> None:
    adapter = Adapter.from_pretrained(tiny.adapter)
    trained = {"settings": {"seed": 3, "held_back": 0.4}}
    Adapter(replace(adapter.config, training=trained), adapter.former, adapter.probes).save_pretrained(tmp_path / "new")
    split = split_records(read_records(tiny.records), 0.4, 3)
    chosen = held_back_records([tiny.records], str(tmp_path / "new"), None, 0)
    assert {record.id for record in chosen} == {record.id for record in split.stopping + split.threshold}
    assert len(held_back_records([tiny.records], str(tmp_path / "new"), 5, 0)) == 5
