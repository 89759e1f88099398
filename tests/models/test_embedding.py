"""The embedding layer alone: as the whole model has it, and no more of the model than that."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from r2ag.errors import InputError
from r2ag.models import load_embedding, load_llm
from tests.models.test_models import save_llm
from tests.tiny import LLMS, tiny_llm, tiny_tokenizer

IDS = torch.tensor([[0, 3, 77, 5]])


@pytest.mark.parametrize("family", LLMS)
def test_tokens_are_embedded_as_by_the_whole_model(tmp_path: Path, family: str) -> None:
    folder = str(save_llm(tmp_path, family))
    whole, _ = load_llm(folder, dtype=torch.float32, device="cpu")
    alone, tokenizer = load_embedding(folder)
    assert torch.equal(alone.get_input_embeddings()(IDS), whole.get_input_embeddings()(IDS))
    assert tokenizer("bees").input_ids == tiny_tokenizer()("bees").input_ids
    layer = alone.get_input_embeddings()
    elsewhere = [parameter.is_meta for parameter in alone.parameters() if parameter is not layer.weight]
    assert elsewhere
    assert all(elsewhere)


def test_the_dtype_is_that_of_the_files(tmp_path: Path) -> None:
    tiny_llm(vocabulary=len(tiny_tokenizer())).bfloat16().save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    assert load_embedding(str(tmp_path))[0].get_input_embeddings()(IDS).dtype == torch.bfloat16


def test_of_a_model_in_several_files_one_is_read(tmp_path: Path) -> None:
    model = tiny_llm(vocabulary=len(tiny_tokenizer()))
    model.save_pretrained(tmp_path, max_shard_size="30KB")
    tiny_tokenizer().save_pretrained(tmp_path)
    shards = {file: list(load_file(file)) for file in tmp_path.glob("*.safetensors")}
    assert len(shards) > 2
    for file, keys in shards.items():
        if not any("embed_tokens" in key for key in keys):
            file.unlink()
    alone, _ = load_embedding(str(tmp_path))
    assert torch.equal(alone.get_input_embeddings()(IDS), model.get_input_embeddings()(IDS))


def test_running_it_is_refused_in_a_sentence(tmp_path: Path) -> None:
    alone, _ = load_embedding(str(save_llm(tmp_path, "llama")))
    with pytest.raises(InputError, match="Only the engine has the LLM's weights"):
        alone(input_ids=IDS)


def test_files_that_do_not_fit_are_named(tmp_path: Path) -> None:
    save_llm(tmp_path, "llama")
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    save_file(tensors | {"model.embed_tokens.weight": torch.zeros(7, 32)}, file, {"format": "pt"})
    with pytest.raises(InputError, match=r"of the shape \(7, 32\)"):
        load_embedding(str(tmp_path))
    del tensors["model.embed_tokens.weight"]
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(InputError, match=r"has no tensor model\.embed_tokens\.weight"):
        load_embedding(str(tmp_path))
    file.unlink()
    with pytest.raises(InputError, match="has no safetensors files"):
        load_embedding(str(tmp_path))
