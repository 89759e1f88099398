"""Block-wise attention gives what the LLM's own attention gives."""

from __future__ import annotations

import copy

import pytest
import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

from r2ag.models import cpu
from tests.tiny import LLMS, VOCABULARY, tiny_llm


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch):
    monkeypatch.setattr(cpu, "BLOCK", 7)
    AttentionInterface.register(cpu.CAUSAL_BLOCKS, cpu.causal_blocks)
    AttentionMaskInterface.register(cpu.CAUSAL_BLOCKS, sdpa_mask)


@pytest.mark.parametrize("family", [family for family in LLMS if family != "gemma2"])  # soft caps: eager alone
@pytest.mark.parametrize("padding", [0, 5])
def test_blocks_equal_sdpa(family, padding):
    llm = tiny_llm(family)
    ids = torch.randint(3, VOCABULARY, (2, 40))
    mask = torch.ones_like(ids)
    mask[0, :padding] = 0
    inputs = {"input_ids": ids, "attention_mask": mask, "position_ids": (mask.cumsum(-1) - 1).clamp(min=0)}
    with torch.no_grad():
        expected = llm(**inputs).logits
        llm.set_attn_implementation(cpu.CAUSAL_BLOCKS)
        found = llm(**inputs).logits
    torch.testing.assert_close(found[mask.bool()], expected[mask.bool()], atol=1e-4, rtol=1e-4)


def test_generation_with_a_cache_is_equal():
    llm = tiny_llm()
    embeddings = llm.get_input_embeddings()(torch.randint(3, VOCABULARY, (1, 30)))
    options = {"inputs_embeds": embeddings, "max_new_tokens": 12, "do_sample": False}
    expected = llm.generate(**options)
    llm.set_attn_implementation(cpu.CAUSAL_BLOCKS)
    assert torch.equal(llm.generate(**options), expected)


def test_gradients_equal_sdpa():
    llm = tiny_llm()
    embeddings = llm.get_input_embeddings()(torch.randint(3, VOCABULARY, (1, 30))).detach().requires_grad_()
    gradients = []
    for attention in ("sdpa", cpu.CAUSAL_BLOCKS):
        llm.set_attn_implementation(attention)
        gradients += torch.autograd.grad(llm(inputs_embeds=embeddings).logits.square().sum(), embeddings)
    torch.testing.assert_close(gradients[1], gradients[0], atol=1e-3, rtol=1e-3)


def test_only_bfloat16_on_a_cpu_is_changed():
    llm = tiny_llm()
    cpu.make_fast_on_cpu(llm)
    assert llm.config._attn_implementation == "sdpa"
    llm = llm.to(torch.bfloat16)
    cpu.make_fast_on_cpu(llm)
    assert llm.config._attn_implementation == cpu.CAUSAL_BLOCKS
    logits = llm(inputs_embeds=torch.randn(2, 9, 32, dtype=torch.bfloat16), logits_to_keep=3).logits
    assert logits.shape == (2, 3, VOCABULARY)


def test_weights_times_a_single_row_leave_onednn_out():
    llm = tiny_llm().to(torch.bfloat16)
    linear = llm.model.layers[0].mlp.up_proj
    rows = torch.randn(3, 1, 32, dtype=torch.bfloat16)
    expected = linear(rows)
    cpu.make_fast_on_cpu(llm)
    used = []
    real = torch.nn.functional.linear

    def seen(*arguments):
        used.append(cpu.onednn.enabled)
        return real(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.functional, "linear", seen)
        linear(rows)
        found = torch.cat([linear(row[None]) for row in rows])
        with pytest.raises(RuntimeError):
            linear(torch.randn(1, 31, dtype=torch.bfloat16))
    assert used == [True, False, False, False, False]
    assert cpu.onednn.enabled
    torch.testing.assert_close(found, expected)


def test_a_copy_has_weights_of_its_own():
    llm = tiny_llm().to(torch.bfloat16)
    cpu.make_fast_on_cpu(llm)
    copied = copy.deepcopy(llm)
    for weight in copied.parameters():
        weight.data.zero_()
    for rows in (1, 3):
        read = torch.randn(rows, 32, dtype=torch.bfloat16)
        assert copied.model.layers[0].mlp.up_proj(read).eq(0).all()
        assert llm.model.layers[0].mlp.up_proj(read).ne(0).any()


def test_values_may_be_narrower_than_keys():
    query, key, value = torch.randn(1, 4, 20, 24), torch.randn(1, 2, 20, 24), torch.randn(1, 2, 20, 16)
    found, _ = cpu.causal_blocks(torch.nn.Module().eval(), query, key, value, None)
    expected = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
    torch.testing.assert_close(found, expected.transpose(1, 2), atol=1e-5, rtol=1e-5)


def test_the_switch_of_onednn_is_left_as_others_set_it(monkeypatch):
    llm = tiny_llm().to(torch.bfloat16)
    cpu.make_fast_on_cpu(llm)
    monkeypatch.setattr(cpu.onednn, "enabled", False)  # somebody turns it off for a model of their own
    llm.model.layers[0].mlp.up_proj(torch.randn(1, 32, dtype=torch.bfloat16))
    assert cpu.onednn.enabled is False


def test_products_of_two_threads_may_overlap():
    first, second = cpu._without_onednn, cpu._without_onednn
    with first:
        with second:
            assert not cpu.onednn.enabled
        assert not cpu.onednn.enabled
    assert cpu.onednn.enabled
