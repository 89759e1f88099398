from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from r2ag.adapter import adapter as module
from r2ag.adapter.adapter import Adapter
from r2ag.errors import InputError
from r2ag.method.calibration import Calibration
from r2ag.method.former import FormerConfig
from tests.tiny import HIDDEN, tiny_adapter, tiny_llm, tiny_tokenizer

TOKENIZER = tiny_tokenizer()
SIZES = FormerConfig(HIDDEN, hidden_size=8, heads=2, feed_forward_size=16, max_documents=5, slots=2)


def own_llm(family: str = "llama", seed: int = 0) -> PreTrainedModel:
    return tiny_llm(family, vocabulary=len(TOKENIZER), seed=seed)


@pytest.fixture(scope="module")
def adapter() -> Adapter:
    """Every field differs from its default."""
    made = tiny_adapter(own_llm(), TOKENIZER, former=SIZES)
    features = torch.randn(3, 5, 3), torch.ones(3, 5, dtype=torch.bool)
    made.former.standardise_by(*features)
    made = made.with_calibration(Calibration(1.5, -0.25, 0.4, 0.1, "12 records"))
    made.config = replace(made.config, plain_prompt="one-shot", plain_top_n=2, training={"settings": {"seed": 3}})
    return made


@pytest.fixture
def folder(adapter: Adapter, tmp_path: Path) -> Path:
    adapter.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


@pytest.fixture
def lora(tmp_path: Path) -> Path:
    """Stands for a fine-tuned encoder's LoRA, whose files are only copied."""
    made = tmp_path / "tuned"
    made.mkdir()
    (made / "adapter_config.json").write_text("{}")
    save_file({"weight": torch.randn(2, 2)}, made / "adapter_model.safetensors")
    return made


def with_lora(llm: PreTrainedModel) -> Any:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    return get_peft_model(llm, config)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


# Saving and loading


VECTORS = {"features": ("vector",), "vector_size": HIDDEN}


@pytest.mark.parametrize("method", ["r2ag", "learned-tokens", "xrag", "raft"])
def test_a_round_trip_loses_nothing(method, adapter, tmp_path):
    sizes = replace(SIZES, **VECTORS) if method == "xrag" else SIZES
    made = tiny_adapter(own_llm(), TOKENIZER, former=sizes, method=method)
    made.config = replace(adapter.config, method=method, former=sizes)
    made.save_pretrained(tmp_path / "adapter")
    loaded = Adapter.from_pretrained(tmp_path / "adapter")
    assert loaded.config == made.config
    assert_equal_tensors(loaded.former.state_dict(), made.former.state_dict())
    assert_equal_tensors(loaded.probes, made.probes)
    assert not loaded.former.training
    assert type(loaded.former) is type(made.former)
    assert (loaded.folder, loaded.encoder_lora, loaded.llm_lora) == (tmp_path / "adapter", None, None)


def assert_equal_tensors(tensors: dict[str, torch.Tensor], others: dict[str, torch.Tensor]) -> None:
    assert tensors.keys() == others.keys()
    assert all(torch.equal(tensors[name], others[name]) for name in others)


def test_the_threshold_can_be_set_and_nothing_else_changes(adapter):
    assert adapter.with_threshold(None) is adapter
    changed = adapter.with_threshold(0.25)
    assert changed.config == replace(adapter.config, calibration=replace(adapter.config.calibration, threshold=0.25))
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match="from 0 to 1"):
            adapter.with_threshold(wrong)


def test_the_feature_statistics_travel_with_it(adapter, folder):
    loaded = Adapter.from_pretrained(folder).former
    assert torch.equal(loaded.mean, adapter.former.mean)
    assert (loaded.deviation != 1).all()


def test_saving_again_writes_the_same_bytes(folder):
    before = contents(folder)
    Adapter.from_pretrained(folder).save_pretrained(folder)
    assert contents(folder) == before


def test_a_folder_is_replaced_whole(adapter, folder):
    (folder / "stray.txt").write_text("of an older adapter")
    adapter.save_pretrained(folder)
    assert set(contents(folder)) == {"config.json", "model.safetensors", "README.md"}
    assert [path.name for path in folder.parent.iterdir()] == ["adapter"]


@pytest.mark.parametrize("holds", [["notes.txt"], ["config.json", "model.safetensors"], ["config.json"]], ids=str)
def test_a_folder_that_holds_no_adapter_is_refused_and_kept(adapter, tmp_path, holds):
    folder = tmp_path / "documents"
    folder.mkdir()
    for name in holds:
        (folder / name).write_text("{}")
    before = contents(folder)
    with pytest.raises(InputError, match="holds other files, which saving would delete; name a new folder"):
        adapter.save_pretrained(folder)
    assert contents(folder) == before
    with pytest.raises(InputError, match="is a file"):
        adapter.save_pretrained(folder / holds[0])


def test_a_folder_stays_as_it_is_where_writing_fails(adapter, folder, monkeypatch):
    before = contents(folder)

    def full(*arguments: object) -> None:
        raise OSError("No space left on device")

    for broken in ("save_file", "model_card"):
        with monkeypatch.context() as patched:
            patched.setattr(module, broken, full)
            with pytest.raises(OSError, match="No space left"):
                adapter.save_pretrained(folder)
        assert contents(folder) == before
        assert [path.name for path in folder.parent.iterdir()] == ["adapter"]


def test_a_folder_stays_as_it_is_where_the_new_one_cannot_take_its_place(adapter, folder, monkeypatch):
    before, rename = contents(folder), Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if target == folder and not self.name.endswith(".old"):
            raise OSError("Device or resource busy")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="busy"):
        adapter.save_pretrained(folder)
    assert contents(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["adapter"]


def test_loras_of_both_models_are_carried_along(adapter, lora, tmp_path):
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    made = Adapter(adapter.config, adapter.former, adapter.probes)
    made.attach_encoder_lora(lora)
    made = made.with_calibration(Calibration())
    made.save_pretrained(first, with_lora(own_llm()))
    assert made.encoder_lora == first / "encoder"
    loaded = Adapter.from_pretrained(first).with_calibration(Calibration(threshold=0.3))
    loaded.save_pretrained(second)
    assert (loaded.encoder_lora, loaded.llm_lora) == (second / "encoder", second / "lora")
    for part in ("encoder", "lora"):
        assert contents(second / part) == contents(first / part) != {}
    assert contents(first / "encoder") == contents(lora)
    assert {key.rsplit(".", 2)[-2] for key in load_file(first / "lora" / "adapter_model.safetensors")} == {
        "lora_A",
        "lora_B",
    }
    loaded.save_pretrained(third, with_lora(own_llm(seed=1)))  # trained anew
    weights = Path("lora") / "adapter_model.safetensors"
    assert (third / weights).read_bytes() != (second / weights).read_bytes()


def test_nothing_that_is_saved_is_a_pickle_or_knows_this_machine(adapter, lora, tmp_path):
    made = Adapter(adapter.config, adapter.former, adapter.probes)
    made.attach_encoder_lora(lora)
    llm = own_llm()
    llm.save_pretrained(tmp_path / "llm")
    llm = type(llm).from_pretrained(tmp_path / "llm")
    made.save_pretrained(tmp_path / "adapter", with_lora(llm))
    saved = contents(tmp_path / "adapter")
    assert {Path(name).suffix for name in saved} == {".json", ".safetensors", ".md"}
    assert str(tmp_path).encode() not in b"".join(saved.values())
    assert json.loads(saved["lora/adapter_config.json"])["base_model_name_or_path"] == "tiny-llm"


def test_a_new_adapter_starts_at_the_embeddings_scale():
    llm = own_llm("gemma2")  # scales in the embedding layer's output
    rows = llm.get_input_embeddings()(torch.arange(len(TOKENIZER)))
    for method in ("r2ag", "learned-tokens"):
        former = tiny_adapter(llm, TOKENIZER, method=method, former=SIZES).former
        anchors = former(torch.randn(8, 5, 3), torch.ones(8, 5, dtype=torch.bool)).anchors
        assert anchors.std().item() == pytest.approx(rows.std().item(), rel=0.25)


# Damage


Damage = Callable[[Path], None]


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def rewritten(**changes: object) -> Damage:
    def rewrite(file: Path) -> None:
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return rewrite


def without(field: str) -> Damage:
    def rewrite(file: Path) -> None:
        fields = json.loads(file.read_text())
        del fields[field]
        file.write_text(json.dumps(fields))

    return rewrite


def without_tensors(prefix: str) -> Damage:
    def rewrite(file: Path) -> None:
        save_file({name: tensor for name, tensor in load_file(file).items() if not name.startswith(prefix)}, file)

    return rewrite


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("config.json", Path.unlink, "is missing or not an adapter's config.json"),
        ("config.json", truncated, "is missing or not an adapter's config.json"),
        ("config.json", lambda file: file.write_text("[]"), "is missing or not an adapter's config.json"),
        ("config.json", lambda file: file.write_bytes(b"\xff\xfe"), "is missing or not an adapter's config.json"),
        ("config.json", without("format_version"), "is missing or not an adapter's config.json"),
        ("config.json", rewritten(format_version=2), "has format_version 2, this r2ag reads 1; upgrade r2ag"),
        ("config.json", without("template"), r"lacks or misnames a field \('template'\)"),
        ("config.json", rewritten(encoder={"name": "a"}), "lacks or misnames a field .*dimension"),
        ("config.json", rewritten(calibration={"temperature": 1}), "lacks or misnames a field .*temperature"),
        ("config.json", rewritten(llm=None), "lacks or misnames a field"),
        ("config.json", rewritten(template={"head": "", "document": "", "tail": ""}), "lacks or misnames a field"),
        ("model.safetensors", Path.unlink, "is missing or damaged"),
        ("model.safetensors", truncated, "is missing or damaged"),
        ("model.safetensors", lambda file: file.write_bytes(b""), "is missing or damaged"),
        ("model.safetensors", without_tensors("head."), "does not fit .*config.json"),
        ("model.safetensors", without_tensors("probe.llm"), "lacks its probes"),
        ("config.json", rewritten(method="learned-tokens"), "does not fit .*config.json"),
    ],
)
def test_damaged_files_are_named(folder, name, damage, message):
    damage(folder / name)
    with pytest.raises(InputError, match=message) as refusal:
        Adapter.from_pretrained(folder)
    assert str(folder / name) in str(refusal.value)


@pytest.mark.parametrize("name", ["gone", "./gone", "far/from/here", "~/gone"])
def test_a_folder_that_is_not_there_is_named(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=f"There is no adapter folder {name}; check the path"):
        Adapter.from_pretrained(name)


def test_a_file_is_no_adapter(tmp_path):
    (tmp_path / "adapter.bin").write_text("")
    with pytest.raises(InputError, match=r"There is no adapter folder .*adapter\.bin"):
        Adapter.from_pretrained(tmp_path / "adapter.bin")


def test_what_has_no_folder_cannot_be_pushed(adapter):
    unsaved = Adapter(adapter.config, adapter.former, adapter.probes)
    with pytest.raises(InputError, match="call save_pretrained before push_to_hub"):
        unsaved.push_to_hub("someone/adapter")
