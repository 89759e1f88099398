"""Loading models: what is accepted, what is refused, and in which words."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, Gemma3nTextConfig, LlamaConfig, LlamaForCausalLM, PreTrainedConfig, T5Config
from transformers.utils import logging

from r2ag.errors import InputError
from r2ag.models import (
    DEFAULT_LLM,
    DEFAULT_RETRIEVER,
    load_llm,
    load_sentence_transformer,
    preferred_dtype,
    resolve_llm,
    wheels,
)
from r2ag.models.prefix_attention import BEHIND
from tests.tiny import LLMS, tiny_llm, tiny_tokenizer


@pytest.fixture
def llm_folder(tmp_path: Path) -> Path:
    """A random two-layer Llama with a tokenizer."""
    return save_llm(tmp_path, "llama")


def save_llm(folder: Path, family: str) -> Path:
    tokenizer = tiny_tokenizer()
    tiny_llm(family, vocabulary=len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("family", LLMS)
def test_a_folder_gives_a_model_and_tokenizer_ready_to_use(tmp_path: Path, family: str) -> None:
    model, tokenizer = load_llm(str(save_llm(tmp_path, family)), dtype=torch.float32, device="cpu")
    assert not model.training
    assert model.dtype == torch.float32
    # Gemma 2 caps its attention scores, which sdpa can't do.
    assert model.config._attn_implementation == ("eager" if family == "gemma2" else BEHIND)
    assert model.config.model_type == family
    assert tokenizer("bees & honey").input_ids == tiny_tokenizer()("bees & honey").input_ids


def test_without_a_dtype_the_one_that_is_fast_there_is_taken(llm_folder: Path) -> None:
    model, _ = load_llm(str(llm_folder), device="cpu")
    assert model.dtype == preferred_dtype(torch.device("cpu"))


@pytest.mark.parametrize(
    ("device", "amx", "avx512_bf16", "expected"),
    [
        ("cuda", False, False, torch.bfloat16),
        ("cpu", True, False, torch.bfloat16),
        ("cpu", False, True, torch.bfloat16),
        ("cpu", False, False, torch.float32),
        ("mps", True, True, torch.float32),
    ],
)
def test_bfloat16_only_where_the_hardware_multiplies_it(
    monkeypatch: pytest.MonkeyPatch, device: str, amx: bool, avx512_bf16: bool, expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
    assert preferred_dtype(torch.device(device)) == expected


def test_loading_is_silent_and_leaves_the_log_level_alone(llm_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    level = logging.get_verbosity()
    load_llm(str(llm_folder))
    assert capfd.readouterr() == ("", "")
    assert logging.get_verbosity() == level
    assert logging.is_progress_bar_enabled()


@pytest.mark.parametrize("name", ["", "./nothing", "/no/such/folder", "~nobody", "a/b/c"])
def test_a_missing_folder_is_named_at_once(name: str) -> None:
    with pytest.raises(InputError, match="There is no folder") as caught:
        load_llm(name)
    assert repr(name) in str(caught.value)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="could not be loaded"):
        load_llm(str(tmp_path))


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_truncated_files_are_refused(llm_folder: Path, file: str) -> None:
    damaged = llm_folder / file
    damaged.write_bytes(damaged.read_bytes()[:-50])
    with pytest.raises(InputError) as caught:
        load_llm(str(llm_folder))
    assert str(llm_folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_weights_are_refused_not_made_up(llm_folder: Path) -> None:
    config = LlamaConfig.from_pretrained(llm_folder)
    config.num_hidden_layers = 3
    config.save_pretrained(llm_folder)
    with pytest.raises(InputError, match="lacks 9 weights"):
        load_llm(str(llm_folder))


def test_weights_of_another_size_are_refused(llm_folder: Path) -> None:
    config = LlamaConfig.from_pretrained(llm_folder)
    config.intermediate_size = 24
    config.save_pretrained(llm_folder)
    with pytest.raises(InputError, match="could not be loaded"):
        load_llm(str(llm_folder))


def test_pickled_weights_are_refused(llm_folder: Path) -> None:
    (llm_folder / "model.safetensors").unlink()
    torch.save(LlamaForCausalLM(LlamaConfig.from_pretrained(llm_folder)).state_dict(), llm_folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="safetensors"):
        load_llm(str(llm_folder))


def test_a_model_without_a_fast_tokenizer_is_refused(llm_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transformers.AutoTokenizer.from_pretrained", lambda *_, **__: object())
    with pytest.raises(InputError, match="no fast tokenizer"):
        load_llm(str(llm_folder))


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (Gemma3nTextConfig, "needs inputs for each layer"),
        (T5Config, "not decoder-only"),
        (BertConfig, "not decoder-only"),
    ],
)
def test_models_that_take_no_plain_embeddings_are_refused_by_name(
    tmp_path: Path, config: Callable[[], PreTrainedConfig], reason: str
) -> None:
    config().save_pretrained(tmp_path)
    with pytest.raises(InputError, match=reason) as caught:
        load_llm(str(tmp_path))
    assert str(tmp_path) in str(caught.value)


def test_an_unknown_retriever_is_refused() -> None:
    with pytest.raises(InputError, match="retriever"):
        load_sentence_transformer("./nothing")


def test_only_the_default_llm_has_another_source() -> None:
    assert resolve_llm("somebody/some-model") == "somebody/some-model"


def test_without_the_wheels_the_hub_is_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "find_spec", lambda _: None)
    assert wheels.retriever_folder() is None
    assert resolve_llm(DEFAULT_LLM) == DEFAULT_LLM


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("R2AG_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert wheels.cache_folder() == tmp_path / "own"
    monkeypatch.delenv("R2AG_CACHE")
    assert wheels.cache_folder() == tmp_path / "cache" / "r2ag"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert wheels.cache_folder() == Path.home() / ".cache" / "r2ag"


def test_a_failed_conversion_leaves_no_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(_: Path, folder: Path) -> None:
        (folder / "half").touch()
        raise OSError("the disk is full")

    monkeypatch.setattr(wheels, "_convert", fail)
    with pytest.raises(OSError, match="full"):
        wheels._convert_once(Path("some.gguf"), tmp_path / "llm")
    assert [path.name for path in tmp_path.iterdir()] == [".llm.lock"]


def test_of_two_conversions_at_once_one_waits_for_the_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    begun, may_end, converted = threading.Event(), threading.Event(), []

    def convert(_: Path, folder: Path) -> None:
        begun.set()
        assert may_end.wait(20)
        (folder / "config.json").write_text(f"{len(converted)}")
        converted.append(folder)

    monkeypatch.setattr(wheels, "_convert", convert)
    both = [threading.Thread(target=wheels._convert_once, args=(Path("some.gguf"), tmp_path / "llm")) for _ in "ab"]
    both[0].start()
    assert begun.wait(20)
    both[1].start()
    may_end.set()
    for thread in both:
        thread.join(20)
    assert len(converted) == 1
    assert (tmp_path / "llm" / "config.json").read_text() == "0"


def test_importing_the_module_loads_no_torch() -> None:
    code = "import sys, r2ag.models; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=os.environ, check=False).returncode == 0


@pytest.mark.model
def test_the_default_llm_answers_and_stops() -> None:
    model, tokenizer = load_llm(DEFAULT_LLM)
    assert tokenizer.eos_token_id == model.generation_config.eos_token_id == 2
    assert tokenizer.model_max_length == model.config.max_position_embeddings == 8192
    question = [{"role": "user", "content": "What is the capital of France? Answer in one word."}]
    prompt = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    output = model.generate(**prompt, max_new_tokens=20, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    assert "Paris" in tokenizer.decode(output)
    assert output[-1] == 2


@pytest.mark.model
def test_the_default_llm_splits_text_as_on_the_hub() -> None:
    """Digits are taken apart first, so that the white space before them stays together."""
    _, tokenizer = load_llm(DEFAULT_LLM)
    assert tokenizer.tokenize("x\n\n12") == ["x", "ĊĊ", "1", "2"]
    assert tokenizer.tokenize("<|im_start|>user") == ["<|im_start|>", "user"]


@pytest.mark.model
def test_the_default_retriever_encodes() -> None:
    vector = load_sentence_transformer(DEFAULT_RETRIEVER, device="cpu").encode("bees make honey")
    assert vector.shape == (384,)
