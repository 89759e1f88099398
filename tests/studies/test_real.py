"""A study with the default models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from r2ag.cli import main
from r2ag.records import write_records
from r2ag.types import Document, Record

TEXTS = {
    "Who invented the paper coffee filter?": (
        "Melitta Bentz",
        "Melitta Bentz invented the paper coffee filter.",
    ),
    "How many hearts does an octopus have?": ("three", "An octopus has three hearts, two of them for its gills."),
    "When did the Golden Gate Bridge open?": ("1937", "The Golden Gate Bridge opened to traffic in May 1937."),
}


@pytest.mark.model
def test_documents_left_out_by_relevance(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = [
        Record(
            question,
            question,
            (answer,),
            tuple(Document(text, relevant=text == own) for _, text in TEXTS.values()),
        )
        for question, (answer, own) in TEXTS.items()
    ]
    write_records(records, tmp_path / "some.jsonl")
    options = ["--data", str(tmp_path / "some.jsonl"), "--over", "r2ag+top:1,rag-topn:1", "--max-new-tokens", "8"]
    assert main(["study", "pruning", *options, "--output", str(tmp_path / "out"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (row,) = found["figures"]["some"]["rows"].values()
    assert row["map"] == 1
    methods = row["methods"]
    assert methods["r2ag+top:1"]["acc"] >= 2 / 3  # of three answers that stand in the one document read
    assert methods["r2ag+top:1"]["documents_read_mean"] == 1
    assert methods["r2ag+top:1"]["prompt_tokens_mean"] < methods["r2ag"]["prompt_tokens_mean"]
