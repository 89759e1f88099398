"""Which LLM and encoder belong to an adapter."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from r2ag.adapter.adapter import Adapter
from r2ag.errors import InputError
from r2ag.method.former import FormerConfig
from tests.adapter.test_adapter import TOKENIZER, own_llm, with_lora
from tests.tiny import HIDDEN, tiny_adapter, tiny_encoder, tiny_encoder_folder, tiny_llm, tiny_tokenizer


@pytest.fixture(scope="module")
def adapter() -> Adapter:
    return tiny_adapter(own_llm(), TOKENIZER)


@pytest.fixture
def folder(adapter: Adapter, tmp_path: Path) -> Path:
    adapter.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


def noisy(llm: PreTrainedModel, share: float) -> PreTrainedModel:
    """Every weight with noise of `share` of its tensor's deviation."""
    with torch.no_grad():
        for weight in llm.parameters():
            weight += share * weight.std() * torch.randn_like(weight)
    return llm


def test_its_own_llm_is_accepted_without_a_word(folder):
    for llm in (own_llm(), own_llm().bfloat16(), with_lora(own_llm())):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            Adapter.from_pretrained(folder).check_llm(llm, TOKENIZER)


def test_a_re_quantised_llm_is_accepted_with_a_warning(adapter):
    with pytest.warns(UserWarning, match=r"another quantisation of tiny-llm \(embedding cosine 0\.9"):
        adapter.check_llm(noisy(own_llm(), 0.1), TOKENIZER)


def wider() -> PreTrainedModel:
    config = own_llm().config
    config.hidden_size = 2 * HIDDEN
    return type(own_llm())(config)


@pytest.mark.parametrize(
    ("llm", "kind", "message"),
    [
        (lambda: own_llm("qwen2"), "bytes", r"belongs to tiny-llm \(llama, hidden size 32\), not to .*qwen2"),
        (wider, "bytes", "not to .*llama, hidden size 64"),
        (own_llm, "llama", "The vocabulary of .* is not that of tiny-llm"),
        (lambda: own_llm(seed=1), "bytes", r"The embeddings of .* are not those of tiny-llm \(cosine -?0\.[012]"),
        (lambda: noisy(own_llm(), 1.0), "bytes", r"The embeddings of .* are not those of tiny-llm \(cosine 0\.7"),
        (lambda: tiny_llm(vocabulary=40), "bytes", "The embeddings of .* are not those of tiny-llm"),
    ],
)
def test_another_llm_is_refused(adapter, llm, kind, message):
    with pytest.raises(
        InputError, match=f"{message}.*; use tiny-llm, or train an adapter for this LLM with r2ag train"
    ):
        adapter.check_llm(llm(), tiny_tokenizer(kind))


def test_its_own_encoder_is_accepted(folder):
    Adapter.from_pretrained(folder).check_encoder(tiny_encoder())


def test_another_encoder_is_refused(adapter, tmp_path):
    from r2ag.encoder.encoder import FeatureEncoder

    other = FeatureEncoder.from_pretrained(str(tiny_encoder_folder(tmp_path / "encoder")), device="cpu")
    adapter.check_encoder(other)  # a copy
    with torch.no_grad():
        for weight in other.model.parameters():
            weight += 0.5 * weight.std() * torch.randn_like(weight) if weight.numel() > 1 else 0
    for stranger in (other, tiny_encoder("dot")):
        with pytest.raises(InputError, match=r"come from the encoder tiny-encoder .* gives other vectors"):
            adapter.check_encoder(stranger)


def rounded(llm: PreTrainedModel, bits: int = 4, group: int = 32) -> PreTrainedModel:
    """Every matrix rounded to `bits` bits with one scale for `group` weights, as quantisers do."""
    levels = 2 ** (bits - 1) - 1
    with torch.no_grad():
        for weight in llm.parameters():
            if weight.dim() == 2:
                grouped = weight.float().unflatten(-1, (-1, group))
                scale = grouped.abs().amax(dim=-1, keepdim=True).clamp(min=1e-9) / levels
                weight.copy_((grouped / scale).round().mul(scale).flatten(-2))
    return llm


@pytest.mark.model
def test_a_re_quantised_default_llm_is_accepted_and_another_of_its_shape_refused():
    from r2ag.adapter.identity import embedding_rows
    from r2ag.models import DEFAULT_LLM, load_llm

    llm, tokenizer = load_llm(DEFAULT_LLM, dtype=torch.bfloat16, device="cpu")
    size = int(llm.get_input_embeddings().weight.shape[1])
    made = tiny_adapter(
        llm, tokenizer, former=FormerConfig(size, hidden_size=8, heads=2, feed_forward_size=16), llm_name=DEFAULT_LLM
    )
    original = embedding_rows(llm, 512)
    copy = rounded(llm)
    likeness = torch.cosine_similarity(original, embedding_rows(copy, 512), dim=-1)
    said = f"cosine of a row and its 4-bit copy: median {likeness.median():.4f}, least {likeness.min():.4f}"
    with pytest.warns(UserWarning, match="another quantisation") as warned:
        made.check_llm(copy, tokenizer)
    assert len(warned) == 1, said
    assert 0.95 < likeness.median() < 0.999, said
    config = llm.config
    config.num_hidden_layers = 1  # the others are never looked at
    with pytest.raises(InputError, match=r"The embeddings of .* are not those of .*\(cosine -?0\.0"):
        made.check_llm(type(llm)(config), tokenizer)
