"""`train` from records to an adapter, whole: each method, repeated, interrupted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, LlamaConfig, Phi3Config

from r2ag.adapter.adapter import Adapter
from r2ag.adapter.controls import DocumentProjector, RankTokens
from r2ag.encoder.encoder import weights_digest
from r2ag.errors import InputError
from r2ag.method.former import R2Former
from r2ag.training import trainer as module
from r2ag.training.run import train, with_lora
from r2ag.training.trainer import WEIGHTS
from tests.tiny import tiny_adapter, tiny_llm
from tests.training.conftest import RECORDS, RUNS, SIZES, TEMPLATE, TINY, parts, sizes_of, tiny_run

FORMERS = {"learned-tokens": RankTokens, "xrag": DocumentProjector}
LEARNED = {"raft": (), "learned-tokens": ("tokens",), "xrag": ("input.weight", "projection.weight")}
EVERY_RUN = pytest.mark.parametrize("name", RUNS)


def weights(adapter: Adapter) -> dict[str, torch.Tensor]:
    """All that was learned: R²-Former or tokens, and the LoRA."""
    lora = {} if adapter.llm_lora is None else load_file(adapter.llm_lora / "adapter_model.safetensors")
    return dict(adapter.former.state_dict()) | lora


def assert_equal(one: Adapter, other: Adapter) -> None:
    assert weights(one).keys() == weights(other).keys()
    assert all(torch.equal(tensor, weights(other)[name]) for name, tensor in weights(one).items())
    assert one.config.calibration == other.config.calibration


def losses(adapter: Adapter) -> dict[int, float]:
    """Held-back loss by step."""
    return {entry["step"]: entry["eval_loss"] for entry in adapter.config.training["history"] if "eval_loss" in entry}


@EVERY_RUN
def test_a_run_writes_an_adapter_that_has_learned(trained, name):
    adapter = trained(name)
    method = RUNS[name].get("method", "r2ag")
    loaded = Adapter.from_pretrained(adapter.folder)
    assert_equal(loaded, adapter)
    assert loaded.config.method == method
    assert isinstance(loaded.former, FORMERS.get(method, R2Former))
    assert (loaded.llm_lora is not None) == (name in ("raft", "r2ag with lora"))
    start = parts()
    fresh = tiny_adapter(start.llm, start.tokenizer, method=method, former=sizes_of(method), template=TEMPLATE)
    for learned in LEARNED.get(method, ("head.weight", "input.weight")):
        assert not torch.equal(loaded.former.state_dict()[learned], fresh.former.state_dict()[learned])
    if loaded.llm_lora is not None:
        assert all(
            tensor.abs().sum() > 0 for name, tensor in weights(loaded).items() if "lora_" in name
        )  # B starts at 0
    figures = loaded.config.training
    assert figures["settings"]["method"] == method
    assert figures["records"]["datasets"] == {"bridges": 40}
    assert sum(figures["records"][part] for part in ("training", "stopping", "calibration", "threshold")) == 40
    assert len(losses(loaded)) == 4
    assert loaded.config.calibration.fitted_on.endswith("held-back records of bridges")


def test_training_lowers_the_held_back_loss(trained):
    first, *_, last = losses(trained("r2ag")).values()
    assert last < first


def test_the_log_has_both_losses(trained):
    work = trained("r2ag").folder.with_name("adapter-run")
    entries = [json.loads(line) for line in (work / "log.jsonl").read_text().splitlines()]
    steps = [entry for entry in entries if "language_loss" in entry]
    assert steps
    assert all(entry["loss"] > 0 and entry["matching_loss"] > 0 for entry in steps)
    assert (work / "loss.png").stat().st_size > 1000


@EVERY_RUN
def test_a_checkpoint_holds_the_trainable_parts_only(trained, name):
    work = trained(name).folder.with_name("adapter-run")
    checkpoint = max(work.glob("checkpoint-*"), key=lambda folder: int(folder.name.split("-")[1]))
    tensors = load_file(checkpoint / WEIGHTS)
    llm = [key for key in tensors if ".llm." in key]
    assert all("lora_" in key for key in llm)
    assert bool(llm) == (name in ("raft", "r2ag with lora"))
    assert any(".former." in key for key in tensors)
    size = sum(tensor.numel() * 4 for tensor in tensors.values())
    heaviest = {file.name: file.stat().st_size for file in checkpoint.iterdir() if file.stat().st_size > size + 20_000}
    assert set(heaviest) <= {"optimizer.pt"}
    assert sum(heaviest.values()) < 2 * size + 50_000  # two moments of what learns


@pytest.mark.parametrize("name", ["r2ag", "r2ag with lora"])
def test_the_llm_itself_does_not_change(tmp_path, name):
    start = parts()
    before = {key: tensor.clone() for key, tensor in start.llm.state_dict().items()}
    tiny_run(tmp_path / "adapter", start, **RUNS[name], epochs=0.5)
    after = {key.replace(".base_layer", ""): tensor for key, tensor in start.llm.state_dict().items()}
    assert all(torch.equal(after[key], tensor) for key, tensor in before.items())


def test_the_same_seed_gives_the_same_weights(trained, tmp_path):
    assert_equal(tiny_run(tmp_path / "again"), trained("r2ag"))
    other = tiny_run(tmp_path / "other", seed=1)
    assert not torch.equal(other.former.head.weight, trained("r2ag").former.head.weight)


class KilledError(Exception):
    """Stands for what ends a process."""


def kill_after_saves(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    class Killing(module.LossLog):
        saves = 0

        def on_step_begin(self, *arguments: Any, **options: Any) -> None:
            if self.saves == count:
                raise KilledError

        def on_save(self, *arguments: Any, **options: Any) -> None:
            self.saves += 1

    monkeypatch.setattr(module, "LossLog", Killing)


def interrupted_run(output: Path, monkeypatch: pytest.MonkeyPatch, saves: int, **changes: Any) -> Adapter:
    with monkeypatch.context() as patched:
        kill_after_saves(patched, saves)
        with pytest.raises(KilledError):
            tiny_run(output, **changes)
    assert not output.exists()
    return tiny_run(output, resume=True, **changes)


@EVERY_RUN
def test_a_resumed_run_ends_where_an_uninterrupted_one_does(trained, name, tmp_path, monkeypatch):
    resumed = interrupted_run(tmp_path / "adapter", monkeypatch, saves=2, **RUNS[name])
    assert_equal(resumed, trained(name))
    assert losses(resumed) == losses(trained(name))


def test_a_resumed_run_stops_as_early(tmp_path, monkeypatch):
    worsening = {"learning_rate": 3.0, "evaluations": 8, "patience": 2}
    whole = tiny_run(tmp_path / "whole", **worsening)
    found = list(losses(whole).values())
    best = found.index(min(found))
    assert len(found) == best + 3 < 8
    resumed = interrupted_run(tmp_path / "resumed", monkeypatch, saves=best + 2, **worsening)  # patience half gone
    assert losses(resumed) == losses(whole)
    assert_equal(resumed, whole)


def test_reading_several_lists_at_once_learns_the_same(tmp_path):
    """Lists are of unequal length and some have no prompt; dropout, which would draw other numbers, is off."""
    found = []
    for size in (1, 4):
        config = replace(TINY, epochs=0.5, micro_batch_size=size)
        sizes = replace(SIZES, dropout=0.0)
        found.append(train(RECORDS, parts(), TEMPLATE, tmp_path / str(size), config, sizes))
    one, four = found
    assert losses(one) == pytest.approx(losses(four), rel=1e-5)
    assert norms(one) == pytest.approx(norms(four), rel=1e-4)
    assert torch.allclose(one.former.projection.weight, four.former.projection.weight, atol=1e-6)


def norms(adapter: Adapter) -> list[float]:
    """Of the gradients, before they are clipped."""
    return [entry["grad_norm"] for entry in adapter.config.training["history"] if "grad_norm" in entry]


def test_too_few_records_are_refused(tmp_path):
    with pytest.raises(InputError, match="1 records are too few"):
        train(RECORDS[:1], parts(), TEMPLATE, tmp_path / "adapter", TINY, SIZES)


def test_there_must_be_something_to_resume(tmp_path):
    with pytest.raises(InputError, match="adapter-run holds no checkpoint to resume from"):
        tiny_run(tmp_path / "adapter", resume=True)


def test_a_run_goes_on_with_its_own_settings_alone(tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        kill_after_saves(patched, 1)
        with pytest.raises(KilledError):
            tiny_run(tmp_path / "adapter")
    with pytest.raises(InputError, match=r"adapter-run was started with learning_rate = 0.001, not 0.5"):
        tiny_run(tmp_path / "adapter", resume=True, learning_rate=0.5)
    other = replace(parts(), llm=tiny_llm(vocabulary=len(parts().tokenizer), seed=1))
    with pytest.raises(InputError, match=r"started with llm = tiny-llm:\w+, not tiny-llm:"):
        tiny_run(tmp_path / "adapter", other, resume=True)
    settings = tmp_path / "adapter-run" / "settings.json"
    older = json.loads(settings.read_text())
    del older["gradient_checkpointing"]
    # Of an older version, which had it as well: out of use it changed nothing, in use it did.
    settings.write_text(json.dumps(older | {"contrast": 1.0}))
    with pytest.raises(InputError, match=r"adapter-run was started with contrast = 1.0, not None"):
        tiny_run(tmp_path / "adapter", resume=True)
    settings.write_text(json.dumps(older | {"contrast": 0.0}))
    tiny_run(tmp_path / "adapter", resume=True)


def test_own_answers_need_an_llm_that_answers(tmp_path):
    with pytest.raises(InputError, match="The LLM answers no record by itself"):
        tiny_run(tmp_path / "adapter", targets="own")


@pytest.mark.parametrize("changes", [{}, {"lora": True, "lora_rank": 4}], ids=["frozen", "lora"])
def test_distilled_answers_come_nearer_to_those_from_the_relevant_documents(tmp_path, changes):
    work = tmp_path / "adapter-run"
    work.mkdir()
    # A random LLM hardly ever ends an answer, so its answers are given.
    lines = [json.dumps([f"{one.id}\t{one.question}", f"It was {one.answers[0]}."]) + "\n" for one in RECORDS]
    (work / f"own-answers-question-last-{weights_digest(parts().llm)}.jsonl").write_text("".join(lines))
    adapter = tiny_run(tmp_path / "adapter", targets="distilled", epochs=4, learning_rate=0.02, **changes)
    losses = [entry["language_loss"] for entry in adapter.config.training["history"] if "language_loss" in entry]
    assert 0 < losses[-1] < losses[0]


def test_frozen_relevance_stays_as_the_first_stage_left_it(tmp_path):
    short, long = (
        tiny_run(tmp_path / str(epochs), freeze_relevance=True, epochs=epochs).former.state_dict() for epochs in (1, 3)
    )
    changed = {name for name, tensor in short.items() if not torch.equal(tensor, long[name])}
    assert changed == {"projection.weight", "projection.bias"}


@pytest.mark.parametrize("frozen", [False, True])
def test_frozen_relevance_has_no_dropout(tmp_path, monkeypatch, frozen):
    modes, forward = [], R2Former.forward

    def watched(former: R2Former, *arguments: Any) -> Any:
        modes.append(former.training)
        return forward(former, *arguments)

    monkeypatch.setattr(R2Former, "forward", watched)
    tiny_run(tmp_path / "adapter", freeze_relevance=frozen, matching_epochs=2)
    assert all(modes[:2])  # a step each of the first stage
    assert any(modes[2:]) != frozen


def test_raft_leaves_the_relevance_as_it_starts(tmp_path, trained):
    shorter = tiny_run(tmp_path / "adapter", **RUNS["raft"] | {"epochs": 0.5})
    assert_equal(Adapter(shorter.config, shorter.former, {}), Adapter(shorter.config, trained("raft").former, {}))


def test_half_a_checkpoint_is_not_resumed_from(trained, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        kill_after_saves(patched, 2)
        with pytest.raises(KilledError):
            tiny_run(tmp_path / "adapter")
    (tmp_path / "adapter-run" / "checkpoint-9999").mkdir()
    assert_equal(tiny_run(tmp_path / "adapter", resume=True), trained("r2ag"))


@pytest.mark.parametrize(
    ("config", "layers"),
    [(LlamaConfig, {"q_proj", "v_proj"}), (Phi3Config, {"qkv_proj", "o_proj", "gate_up_proj", "down_proj"})],
    ids=["peft names its layers", "peft does not"],
)
def test_a_lora_on_any_family(config, layers):
    size = {"vocab_size": 20, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "pad_token_id": 0}
    llm = AutoModelForCausalLM.from_config(config(**size, num_attention_heads=2, num_key_value_heads=2))
    learning = [name for name, parameter in with_lora(llm, TINY).named_parameters() if parameter.requires_grad]
    assert {name.split(".lora_")[0].rpartition(".")[2] for name in learning} == layers


def test_more_documents_than_the_first_stage_reads(tmp_path):
    wide = replace(SIZES, max_documents=32)
    config = replace(TINY, epochs=0, fewest_documents=25, most_documents=32)
    train(RECORDS, parts(), TEMPLATE, tmp_path / "adapter", config, wide)


def test_without_epochs_the_relevance_alone_is_trained(tmp_path):
    alone, frozen = (
        tiny_run(tmp_path / name, **changes)
        for name, changes in (("alone", {"epochs": 0}), ("frozen", {"epochs": 1, "freeze_relevance": True}))
    )
    later = frozen.former.state_dict()
    changed = {name for name, tensor in alone.former.state_dict().items() if not torch.equal(tensor, later[name])}
    assert changed == {"projection.weight", "projection.bias"}
    assert losses(alone) == {}
    assert alone.config.calibration.threshold == frozen.config.calibration.threshold


@pytest.mark.parametrize("changes", [{"method": "learned-tokens"}, {"lora": True}, {"matching_epochs": 0}])
def test_nothing_to_train_without_epochs(changes):
    with pytest.raises(InputError, match="relevance alone"):
        replace(TINY, epochs=0, **changes)


def test_relevance_that_nothing_taught_is_not_frozen(tmp_path):
    with pytest.raises(InputError, match="needs matching_epochs"):
        tiny_run(tmp_path / "adapter", freeze_relevance=True, matching_epochs=0)


def test_a_score_that_no_document_has_is_refused(tmp_path):
    sizes = replace(SIZES, features=("relevance", "bm25"))
    with pytest.raises(InputError, match='has a score "bm25"'):
        train(RECORDS, parts(), TEMPLATE, tmp_path / "adapter", TINY, sizes)


def test_an_adapter_learns_on(tmp_path, trained):
    start = trained("r2ag")
    before = {name: tensor.clone() for name, tensor in start.former.state_dict().items()}
    adapter = tiny_run(tmp_path / "adapter", start=start, matching_epochs=0, learning_rate=1e-4, epochs=1.0)
    after = adapter.former.state_dict()
    moved = {name: (after[name] - before[name]).abs().max().item() for name in before}
    assert 0 < moved["projection.weight"] < 0.01
    assert moved["mean"] == moved["deviation"] == 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in start.former.state_dict().items())


def test_only_the_adapter_of_a_frozen_llm_learns_on(tmp_path, trained):
    with pytest.raises(InputError, match="holds a LoRA of the LLM"):
        tiny_run(tmp_path / "adapter", start=trained("r2ag with lora"))
