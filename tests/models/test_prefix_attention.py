"""Attention behind keys that are already there gives what transformers' own mask gives."""

from __future__ import annotations

import pytest
import torch
from transformers import DynamicCache

from r2ag.models import cpu, prefix_attention
from tests.tiny import LLMS, VOCABULARY, tiny_llm

FAMILIES = [family for family in LLMS if family != "gemma2"]  # soft caps: eager alone
WAYS = {prefix_attention.BEHIND: prefix_attention.sdpa_behind, cpu.CAUSAL_BLOCKS: cpu.causal_blocks}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("padding", [0, 4])
def test_a_prompt_in_two_parts_equals_the_whole(family, way, padding, monkeypatch):
    monkeypatch.setattr(cpu, "BLOCK", 7)
    llm = tiny_llm(family)
    ids = torch.randint(3, VOCABULARY, (2, 40))
    mask = torch.ones_like(ids)
    mask[0, :padding] = 0
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    real = mask.bool()
    with torch.no_grad():
        expected = llm(input_ids=ids, attention_mask=mask, position_ids=positions).logits
        prefix_attention.use(llm, way, WAYS[way])
        cache = DynamicCache()
        found = [
            llm(
                input_ids=ids[:, part],
                attention_mask=mask[:, : part.stop],
                position_ids=positions[:, part],
                past_key_values=cache,
            ).logits
            for part in (slice(0, 12), slice(12, 39), slice(39, 40))
        ]
    torch.testing.assert_close(torch.cat(found, dim=1)[real], expected[real], atol=1e-4, rtol=1e-4)


def test_no_mask_is_written_for_an_unpadded_prompt_and_one_for_a_padded_or_windowed_one():
    whole = {"batch_size": 1, "q_length": 3, "kv_length": 8, "q_offset": 5}
    assert prefix_attention.mask_behind(**whole, attention_mask=torch.ones(1, 8)) is None
    assert prefix_attention.mask_behind(**whole) is None
    padded = torch.ones(1, 8, dtype=torch.bool)
    padded[0, 0] = False
    for changes in ({"attention_mask": padded}, {"local_size": 8}, {"allow_is_causal_skip": False}, {"kv_length": 9}):
        assert prefix_attention.mask_behind(**(whole | changes)) is not None


def test_only_sdpa_is_changed():
    llm = tiny_llm()
    prefix_attention.attend_behind(llm)
    assert llm.config._attn_implementation == prefix_attention.BEHIND
    llm.set_attn_implementation("eager")
    prefix_attention.attend_behind(llm)
    assert llm.config._attn_implementation == "eager"
