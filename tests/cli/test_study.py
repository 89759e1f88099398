"""`r2ag study` with tiny random models: every study from its command to its tables, plots and page."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from r2ag.cli import main
from r2ag.studies import STUDIES
from tests.cli.conftest import Command, Tiny, record, write_records
from tests.tiny import tiny_encoder_folder, tiny_llm, tiny_tokenizer

CONFIGS = Path(__file__).parents[2] / "configs"
PNG = b"\x89PNG"

GIVEN = {
    "main": ["--methods", "rag,crag,r2ag,r2ag+prune"],
    "documents": ["--over", "1,2", "--methods", "rag,r2ag"],
    "retrievers": ["--over", "bm25,untuned,adapter", "--methods", "rag,r2ag", "--k", 2],
    "llms": ["--methods", "rag,r2ag"],
    "attention": ["--over", "2,3"],
    "robustness": [
        "--over",
        "gold:1,gold:3,no-gold,distractors:2,noise:0.5,shuffled",
        "--methods",
        "rag,r2ag",
        "--seeds",
        2,
    ],
    "pruning": ["--over", "r2ag+top:1,rag-topn:1,rag-topn:2,cutoff:0.5"],
    "calibration": [],
}


@pytest.fixture(autouse=True)
def _one_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs a study's trainings in this process, where torch is loaded; one test leaves them their own."""

    def run(arguments: Sequence[str]) -> int:
        with contextlib.redirect_stdout(sys.stderr):
            return main(list(arguments))

    if request.node.get_closest_marker("own_processes") is None:
        monkeypatch.setattr("r2ag.studies.steps.run_command", run)


@pytest.fixture
def test_records(tmp_path: Path) -> Path:
    """Three records that no training file of these tests has."""
    return write_records(tmp_path / "questions-test.jsonl", [record(index) for index in range(100, 103)])


def study(r2ag: Command, name: str, tiny: Tiny, data: Path, output: Path, *more: object) -> dict[str, Any]:
    common = ["--data", data, "--output", output, "--max-new-tokens", 2, "--json"]
    outcome = r2ag("study", name, *common, *more)
    assert outcome.status == 0, outcome.err
    found: dict[str, Any] = json.loads(outcome.out)
    return found


@pytest.mark.parametrize("name", GIVEN)
def test_a_study_of_an_adapter(r2ag: Command, tiny: Tiny, test_records: Path, tmp_path: Path, name: str) -> None:
    output = tmp_path / "out"
    options = [*GIVEN[name], "--adapter", tiny.adapter]
    found = study(r2ag, name, tiny, test_records, output, *options)
    assert found["records"] == 3
    assert json.loads((output / "results.json").read_text()) == found
    written = (output / "results.md").read_text()
    for one in found["tables"]:
        assert one["rows"]
        assert all(len(row) == len(one["head"]) for row in one["rows"])
        assert f"## {one['title']}" in written
    assert found["plots"]
    assert all((output / plot).read_bytes().startswith(PNG) for plot in found["plots"])
    answers = {file.name: file.read_bytes() for file in output.glob("predictions-*.jsonl")}
    assert bool(answers) == (name not in ("attention", "calibration"))
    again = study(r2ag, name, tiny, test_records, output, *options)
    assert again == found
    assert {file.name: file.read_bytes() for file in output.glob("predictions-*.jsonl")} == answers
    outcome = r2ag("report", output)
    assert outcome.status == 0, outcome.err
    page = (output / "report.html").read_text()
    assert page.count('src="data:image/png;base64,') == len(found["plots"])
    assert ("Single records" in page) == bool(answers)


@pytest.mark.own_processes
def test_a_study_that_trains_goes_on_where_it_stopped(
    r2ag: Command, tiny: Tiny, test_records: Path, tmp_path: Path
) -> None:
    models = ["--llm", tiny.llm, "--retriever", tiny.encoder]
    recipe = "--batch-size 2 --documents 1-3 --max-prompt-tokens 1000 --epochs 0.5"
    recipe += " --no-positions --matching-weight 0 --matching-epochs 0"
    options = ["--train", tiny.records, "--over", "60", "--recipe", recipe, *models, "--methods", "rag,r2ag"]
    output = tmp_path / "out"
    planned = r2ag("study", "data", "--data", test_records, "--output", output, *options, "--dry-run")
    assert planned.status == 0, planned.err
    assert "1 (1 steps in all, 0 done)" in planned.out
    assert not output.exists()
    found = study(r2ag, "data", tiny, test_records, output, *options)
    adapter = output / "adapters" / "60-records-seed0"
    config = json.loads((adapter / "config.json").read_text())
    settings = config["training"]["settings"]
    assert (settings["batch_size"], settings["most_documents"], settings["matching_weight"]) == (2, 3, 0)
    assert config["former"]["positions"] is False
    assert not (output / "adapters" / "60-records-seed0-run" / "vectors").exists()  # trainings share the study's
    assert found["figures"]["questions-test"]["rows"]["60"]["methods"]["r2ag"]["compared_with"] == ["60", "rag"]
    # Killed at the end of training: the adapter isn't there, its checkpoints are.
    before = (adapter / "model.safetensors").read_bytes()
    shutil.rmtree(adapter)
    assert study(r2ag, "data", tiny, test_records, output, *options)["tables"] == found["tables"]
    assert (adapter / "model.safetensors").read_bytes() == before


def test_what_parts_are_worth_to_the_relevance(r2ag: Command, tiny: Tiny, test_records: Path, tmp_path: Path) -> None:
    models = ["--llm", tiny.llm, "--retriever", tiny.encoder]
    options = ["--train", tiny.records, "--over", "precedent,bm25,records:50", "--seeds", 2, *models]
    options += ["--recipe", "--documents 1-3 --max-prompt-tokens 1000"]
    output = tmp_path / "out"
    found = study(r2ag, "relevance", tiny, test_records, output, *options)
    (table,) = found["tables"]
    assert [row[0] for row in table["rows"]] == ["full", "without precedent", "with bm25", "50 records"]
    figures = found["figures"]["relevance, questions-test"]
    assert figures["records"] == 3
    whole, without = figures["rows"]["full"], figures["rows"]["without precedent"]
    for name in ("map", "brier"):
        assert without[f"{name}_diff"] == pytest.approx(without[name] - whole[name])
        low, high = without[f"{name}_ci95"]
        assert low <= without[name] <= high
    assert (output / "map.png").read_bytes().startswith(PNG)
    assert not list(output.glob("adapters/*/checkpoint-*"))
    assert study(r2ag, "relevance", tiny, test_records, output, *options) == found


def test_what_parts_are_worth_to_the_answers(r2ag: Command, tiny: Tiny, test_records: Path, tmp_path: Path) -> None:
    models = ["--llm", tiny.llm, "--retriever", tiny.encoder]
    options = ["--train", tiny.records, "--over", "precedent", "--records", 60, "--seeds", 2, *models]
    options += ["--recipe", "--documents 1-3 --max-prompt-tokens 1000 --epochs 0.1", "--k", 2]
    output = tmp_path / "out"
    found = study(r2ag, "ablation", tiny, test_records, output, *options)
    *_, losses, _ = found["tables"]
    assert [row[0] for row in losses["rows"]] == ["full", "without precedent"]
    rows = found["figures"]["language_loss, questions-test"]
    whole, without = rows["full"], rows["without precedent"]
    assert "loss_diff" not in whole
    assert without["records"] == 3
    assert without["loss_diff"] == pytest.approx(without["loss"] - whole["loss"])
    assert without["loss_diff_ci95"][0] <= without["loss_diff"] <= without["loss_diff_ci95"][1]

    lines = [json.loads(line) for line in (output / "measured-full-seed0.jsonl").read_text().splitlines()]
    # An answer that was changed is measured again; the others are not.
    changed = [record(index) for index in range(100, 103)]
    changed[0]["answers"] = ["something else"]
    study(r2ag, "ablation", tiny, write_records(test_records, changed), output, *options)
    anew = [json.loads(line) for line in (output / "measured-full-seed0.jsonl").read_text().splitlines()]
    assert anew[0]["language_loss"] != lines[0]["language_loss"]
    assert anew[1:] == lines[1:]


@pytest.mark.parametrize("name", [name for name in STUDIES if name not in ("attention", "calibration", "pruning")])
def test_what_would_be_run(r2ag: Command, tiny: Tiny, test_records: Path, tmp_path: Path, name: str) -> None:
    options = ["--retriever", tiny.encoder, "--seeds", 2]
    options += [] if name == "robustness" else ["--train", tiny.records]
    options += ["--over", f"{tiny.llm}"] if name == "llms" else ["--llm", tiny.llm]
    options += ["--adapter", tiny.adapter]
    outcome = r2ag("study", name, "--data", test_records, "--output", tmp_path / "out", *options, "--dry-run")
    assert outcome.status == 0, outcome.err
    assert ("r2ag train --documents" in outcome.out) == (name != "robustness")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ablation"], "--train"),
        (["ablation", "--over", "luck", "--train", "RECORDS"], "luck"),
        (["data", "--over", "0", "--train", "RECORDS"], "whole numbers"),
        (["main", "--over", "retuned"], "retuned"),
        (["robustness", "--over", "gold"], "gold:3"),
        (["robustness", "--over", "noise:much"], "noise:0.5"),
        (["calibration", "--over", "on-topic"], "off-topic"),
        (["attention", "--methods", "rag"], "--methods"),
        (["llms", "--llm", "some"], "--llm"),
        (["relevance"], "--train"),
        (["relevance", "--over", "records:few", "--train", "RECORDS"], "records:200"),
        (["relevance", "--over", "matching", "--train", "RECORDS"], "L_QDM"),
        (["relevance", "--methods", "rag", "--train", "RECORDS"], "--methods"),
        (["pruning", "--train", "gone.jsonl"], "gone.jsonl"),
        (["pruning", "--train", "RECORDS"], "trains nothing"),
    ],
)
def test_bad_input(
    r2ag: Command, tiny: Tiny, test_records: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    given = [str(tiny.records) if argument == "RECORDS" else argument for argument in arguments]
    assert words in r2ag.refused("study", *given, "--data", test_records, "--output", tmp_path / "out")


def test_methods_that_there_are_not_end_it_before_the_training(
    r2ag: Command, tiny: Tiny, test_records: Path, tmp_path: Path
) -> None:
    given = ["--data", test_records, "--train", tiny.records, "--methods", "rag,r2agg", "--output", tmp_path / "out"]
    assert "There is no method 'r2agg'" in r2ag.refused("study", "ablation", *given)
    assert not (tmp_path / "out").exists()


def test_test_records_are_never_trained_on(r2ag: Command, tiny: Tiny, tmp_path: Path) -> None:
    options = ["--data", tiny.records, "--train", tiny.records, "--output", tmp_path / "out"]
    assert "would prove nothing" in r2ag.refused("study", "data", *options)


def test_conditions_of_a_report(r2ag: Command, tiny: Tiny, test_records: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    study(r2ag, "documents", tiny, test_records, output, "--over", "1,2", "--adapter", tiny.adapter)
    assert r2ag("report", output, "--condition", "2", "--title", "Ours").status == 0
    assert "Single records below: 2." in (output / "report.html").read_text()
    assert "this study has: 1, 2" in r2ag.refused("report", output, "--condition", "3")
    (output / "acc.png").unlink()
    assert "r2ag study" in r2ag.refused("report", output)


FAMILIES = {"llama": "llama", "longchat": "llama", "qwen1.5": "qwen2", "qwen3": "qwen3", "small": "qwen3"}


@pytest.mark.parametrize("config", sorted(CONFIGS.glob("*.toml")), ids=lambda file: file.stem)
def test_the_papers_setting_on_a_tiny_llm_of_its_architecture(
    r2ag: Command, tmp_path: Path, test_records: Path, monkeypatch: pytest.MonkeyPatch, config: Path
) -> None:
    """The whole chain of options, read from the file: a real trial of the training, and the plan of the study."""
    family = next(family for start, family in FAMILIES.items() if config.stem.startswith(start))
    tokenizer = tiny_tokenizer("bytes", "chatml")
    llm = tiny_llm(family, len(tokenizer))
    llm.config.max_position_embeddings = 8192
    llm.save_pretrained(tmp_path / "llm")
    tokenizer.save_pretrained(tmp_path / "llm")
    models = ["--llm", tmp_path / "llm", "--retriever", tiny_encoder_folder(tmp_path / "encoder")]
    train = write_records(tmp_path / "train.jsonl", [record(index) for index in range(60)])
    monkeypatch.setenv("R2AG_SETTINGS", str(config))
    tried = r2ag("train", "--data", train, "--output", tmp_path / "adapter", *models, "--dry-run")
    assert tried.status == 0, tried.err
    told = tomllib.loads(config.read_text())["study"]
    assert told
    for name in told:
        chosen = ["--over", models[1], *models[2:]] if name == "llms" else models
        options = ["--data", test_records, "--train", train, "--output", tmp_path / "out", "--dry-run"]
        planned = r2ag("study", name, *options, *chosen)
        assert planned.status == 0, planned.err
        assert "r2ag train" in planned.out
        assert "--slots" not in planned.out  # [train] speaks, not the small recipe


def test_the_papers_settings_differ_in_llm_and_sizes_alone() -> None:
    def common(file: Path) -> dict[str, Any]:
        train = tomllib.loads(file.read_text())["train"]
        own = ("llm", "retriever", "documents", "max-prompt-tokens")
        return {key: value for key, value in train.items() if key not in own}

    settings = [common(file) for file in CONFIGS.glob("*.toml")]
    assert len(settings) == 8
    assert all(one == settings[0] for one in settings)
