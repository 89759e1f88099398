"""A jointly trained adapter's LLM, written with its LoRA merged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model

from r2ag.adapter.adapter import Adapter
from r2ag.adapter.loading import load_adapted
from r2ag.answering.reader import Reader
from r2ag.errors import InputError
from r2ag.models import load_llm
from r2ag.models.merged import check_merged, is_merged
from tests.cli.conftest import Command, Tiny, r2ag, tiny

__all__ = ["r2ag", "tiny"]  # fixtures


def joint_adapter(tiny: Tiny, folder: Path, seed: int = 0) -> Path:
    """The tiny adapter with a random LoRA."""
    torch.manual_seed(seed)
    adapter = Adapter.from_pretrained(tiny.adapter)
    llm, _ = load_llm(str(tiny.llm))
    peft = get_peft_model(llm, LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False))
    named = Adapter(
        replace(adapter.config, llm=replace(adapter.config.llm, name=str(tiny.llm))), adapter.former, adapter.probes
    )
    named.save_pretrained(folder, peft)  # type: ignore[arg-type]
    return folder


def test_what_is_written_is_what_the_adapter_answers_with(r2ag: Command, tiny: Tiny, tmp_path: Path) -> None:
    joint = joint_adapter(tiny, tmp_path / "joint")
    outcome = r2ag("export-llm", "--adapter", joint, "--output", tmp_path / "llm")
    assert outcome.status == 0, outcome.err
    adapter = Adapter.from_pretrained(joint)
    expected, _ = load_adapted(adapter, dtype="auto", device="cpu")
    written, tokenizer = load_llm(str(tmp_path / "llm"), dtype="auto", device="cpu")
    weights = expected.state_dict()
    assert written.state_dict().keys() == weights.keys()
    assert all(torch.equal(value, weights[key]) for key, value in written.state_dict().items())
    base, _ = load_llm(str(tiny.llm), dtype="auto", device="cpu")
    assert any(not torch.equal(value, weights[key]) for key, value in base.state_dict().items())
    assert len(tokenizer) == adapter.config.llm.vocab_size
    # Named as the LLM, it is not changed a second time.
    again, _ = load_adapted(adapter, str(tmp_path / "llm"), dtype="auto", device="cpu")
    assert all(torch.equal(value, weights[key]) for key, value in again.state_dict().items())


def test_an_engine_takes_no_llm_without_the_lora(tiny: Tiny, tmp_path: Path, r2ag: Command) -> None:
    adapter = Adapter.from_pretrained(joint_adapter(tiny, tmp_path / "joint"))
    with pytest.raises(InputError, match="write the LLM with r2ag export-llm"):
        Reader.at_engine(adapter, "http://127.0.0.1:9/v1")
    check_merged(str(tiny.llm), None)
    other = joint_adapter(tiny, tmp_path / "other", seed=1)
    assert r2ag("export-llm", "--adapter", other, "--output", tmp_path / "llm").status == 0
    assert adapter.llm_lora is not None
    with pytest.raises(InputError, match="Another adapter's LoRA is merged"):
        is_merged(str(tmp_path / "llm"), adapter.llm_lora)


def test_what_cannot_be_exported_is_said(r2ag: Command, tiny: Tiny, tmp_path: Path) -> None:
    assert "left its LLM as it was" in r2ag.refused("export-llm", "--adapter", tiny.adapter, "--output", tmp_path / "x")
    (tmp_path / "notes").write_text("mine")
    refused = r2ag.refused("export-llm", "--adapter", tiny.adapter, "--output", tmp_path)
    assert "holds other files" in refused


def test_an_evaluation_needs_the_llm_as_it_was(r2ag: Command, tiny: Tiny, tmp_path: Path) -> None:
    joint = joint_adapter(tiny, tmp_path / "joint")
    assert r2ag("export-llm", "--adapter", joint, "--output", tmp_path / "llm").status == 0
    given = ["eval", "--data", tiny.records, "--limit", 1, "--max-new-tokens", 1, "--adapter", joint]
    refused = r2ag.refused(*given, "--llm", tmp_path / "llm", "--methods", "rag,r2ag+raft")
    assert "leave out --llm" in refused
    assert r2ag(*given, "--llm", tmp_path / "llm", "--methods", "r2ag+raft").status == 0
    assert r2ag(*given, "--methods", "rag,r2ag+raft").status == 0
