"""The commands that train, calibrate, evaluate and describe, on tiny models."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from r2ag.adapter.adapter import Adapter
from r2ag.training.checkpoints import whole_checkpoints
from tests.cli.conftest import Command, Tiny


def training(tiny: Tiny, output: Path, *options: object) -> list[object]:
    models = ["--llm", tiny.llm, "--retriever", tiny.encoder]
    return ["train", "--data", tiny.records, "--output", output, *models, "--max-prompt-tokens", 900, *options]


def test_a_dry_run_writes_nothing(r2ag: Command, tiny: Tiny, tmp_path: Path) -> None:
    outcome = r2ag(*training(tiny, tmp_path / "out", "--dry-run", "--batch-size", 2, "--epochs", 10))
    assert outcome.status == 0, outcome.err
    assert "in all" in outcome.out
    assert "memory" in outcome.out
    assert not any(tmp_path.iterdir())


def test_a_run_makes_an_adapter_and_protects_its_checkpoints(r2ag: Command, tiny: Tiny, tmp_path: Path) -> None:
    arguments = training(tiny, tmp_path / "out", "--documents", "2-4", "--seed", 1)
    outcome = r2ag(*arguments)
    assert outcome.status == 0, outcome.err
    assert "held-back loss" in outcome.out
    assert str(tmp_path / "out-run") in outcome.out.replace("\n", "").replace(" ", "")
    adapter = Adapter.from_pretrained(tmp_path / "out")
    assert adapter.config.training["settings"]["most_documents"] == 4
    asked = r2ag(*tiny.ask("--adapter", str(tmp_path / "out"), "--json", "--max-new-tokens", "2"))
    assert asked.status == 0, asked.err
    assert "--resume" in r2ag.refused(*arguments)
    assert r2ag(*arguments, "--resume").status == 0


def test_an_encoder_is_tuned_and_becomes_part_of_an_adapter(r2ag: Command, tiny: Tiny, tmp_path: Path) -> None:
    lora = tmp_path / "lora"
    common = ["--data", tiny.records, "--output", lora, "--retriever", tiny.encoder]
    outcome = r2ag("train-encoder", *common, "--batch-size", 8, "--negatives", 2)
    assert outcome.status == 0, outcome.err
    assert outcome.out.count("MAP") == 2
    assert (lora / "adapter_model.safetensors").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lora"]
    trained = r2ag(*training(tiny, tmp_path / "out", "--encoder-lora", lora))
    assert trained.status == 0, trained.err
    assert Adapter.from_pretrained(tmp_path / "out").encoder_lora is not None


def test_calibrating_changes_the_probabilities_alone(r2ag: Command, tiny: Tiny, tmp_path: Path) -> None:
    options = ["--data", tiny.records, "--adapter", tiny.adapter, "--output", tmp_path / "out"]
    outcome = r2ag("calibrate", *options)
    assert outcome.status == 0, outcome.err
    before, after = Adapter.from_pretrained(tiny.adapter), Adapter.from_pretrained(tmp_path / "out")
    assert after.config.calibration.fitted_on == "60 records of records.jsonl"
    assert after.config.calibration != before.config.calibration
    assert all(
        (one == other).all()
        for one, other in zip(before.former.state_dict().values(), after.former.state_dict().values(), strict=True)
    )
    assert r2ag("calibrate", *options).status == 0, "an adapter that stands there is replaced"


def test_evaluation_as_json_and_as_a_table(r2ag: Command, tiny: Tiny, tmp_path: Path) -> None:
    common = ["--data", tiny.records, "--adapter", tiny.adapter, "--limit", 3, "--max-new-tokens", 2, "--k", 3]
    outcome = r2ag("eval", *common, "--json", "--output", tmp_path / "figures")
    assert outcome.status == 0, outcome.err
    figures = json.loads(outcome.out)
    assert (figures["records"], figures["k"]) == (3, 3)
    assert list(figures["methods"]) == ["rag", "r2ag"]
    assert {"acc", "acc_ci95", "f1", "rouge_l", "prompt_tokens_mean", "seconds_per_question"} <= set(
        figures["methods"]["rag"]
    )
    assert list(figures["paired"]) == ["r2ag vs rag"]
    assert {"map", "recall_at_1"} <= set(figures["retrieval"])
    table = r2ag("eval", *common, "--output", tmp_path / "figures", "--order", "encoder")
    assert "| r2ag |" in table.out
    assert (tmp_path / "figures" / "results.json").is_file()


def test_choosing(r2ag: Command, tiny: Tiny, tmp_path: Path) -> None:
    common = ["--data", tiny.records, "--adapter", tiny.adapter, "--limit", 1, "--max-new-tokens", 1]
    outcome = r2ag("choose", *common, "--families", "one-shot,few-shot-plain", "--output", tmp_path / "chosen")
    assert outcome.status == 0, outcome.err
    assert "few-shot-plain" in outcome.out
    assert outcome.out.count("best") == 3
    assert "one-shot" in (tmp_path / "chosen" / "config.json").read_text()


def test_info_tells_of_an_adapter(r2ag: Command, tiny: Tiny) -> None:
    outcome = r2ag("info", "--adapter", tiny.adapter)
    assert outcome.status == 0
    for words in ("torch", "transformers", "default LLM", "calibration", "relevance, precedent, neighbour"):
        assert words in outcome.out


def test_info_without_an_adapter(r2ag: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("r2ag.adapter.loading.PRETRAINED", Path("nowhere"))
    assert "none came with this installation" in " ".join(r2ag("info").out.split())


def test_ctrl_c_in_training_loses_nothing(r2ag: Command, tiny: Tiny, tmp_path: Path) -> None:
    arguments = [str(argument) for argument in training(tiny, tmp_path / "out", "--epochs", 4)]
    code = (
        "import signal, sys; from r2ag.cli import main\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not whole_checkpoints(tmp_path / "out-run") and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=120)
    assert (process.returncode, said) == (130, "")
    assert "--resume" in errors
    assert errors.endswith("Stopped.\n")
    assert "Traceback" not in errors
    assert not (tmp_path / "out").exists()
    resumed = r2ag(*arguments, "--resume")
    assert resumed.status == 0, resumed.err
    assert (tmp_path / "out" / "model.safetensors").is_file()


def test_two_processes_train_one_adapter(tiny: Tiny, tmp_path: Path) -> None:
    """As `accelerate launch` starts them: each takes half of every step's lists."""
    command = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--cpu",
        "--num_processes",
        "2",
        "--num_machines",
        "1",
    ]
    command += ["--mixed_precision", "no", "--dynamo_backend", "no"]
    command += ["--main_process_port", "0", "-m", "r2ag.cli"]
    arguments = [str(argument) for argument in training(tiny, tmp_path / "joint", "--lora", "--batch-size", 4)]
    finished = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=300, check=False)
    assert finished.returncode == 0, finished.stderr
    log = [json.loads(line) for line in (tmp_path / "joint-run" / "log.jsonl").read_text().splitlines()]
    assert (tmp_path / "joint" / "lora").is_dir()
    assert max(entry["step"] for entry in log) == 12  # as many as one process takes
