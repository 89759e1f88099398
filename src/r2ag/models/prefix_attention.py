"""Attention of new tokens behind keys that are already there, without a mask of all of them.

torch's causal attention wants as many queries as keys. transformers therefore writes out a mask where a prompt goes on
behind an opening that has been read, and a masked attention takes twice as long: it computes what causality hides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import PreTrainedModel

BEHIND = "r2ag_behind"


def attend_behind(llm: PreTrainedModel) -> None:
    """Sets this attention; leaves alone an LLM whose attention is not "sdpa"."""
    if llm.config._attn_implementation == "sdpa":
        use(llm, BEHIND, sdpa_behind)


def use(llm: PreTrainedModel, name: str, attention: Callable[..., tuple[Tensor, None]]) -> None:
    """Sets an attention that takes None for a mask where the queries are the last of the keys and causality is all."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(name, attention)
    AttentionMaskInterface.register(name, mask_behind)
    llm.set_attn_implementation(name)


def sdpa_behind(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    """torch's attention, in transformers' attention interface.

    Args:
        query: (batch, heads, queries, size). Behind other keys it gets empty rows before it, whose output nobody wants:
            they cost less than a mask.
        key, value: (batch, key heads, keys, size).
    """
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    before = key.shape[2] - query.shape[2]
    if attention_mask is not None or query.shape[2] == 1 or not before:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    output, _ = sdpa_attention_forward(module, F.pad(query, (0, 0, before, 0)), key, value, None, **options)
    return output[:, before:], None


def mask_behind(*arguments: Any, **options: Any) -> Tensor | None:
    """transformers' mask for sdpa; None where nothing is hidden but what is later."""
    from transformers.masking_utils import sdpa_mask

    return None if _is_causal(**options) else sdpa_mask(*arguments, **options)


def _is_causal(
    q_length: int,
    kv_length: int,
    q_offset: int = 0,
    kv_offset: int = 0,
    attention_mask: Tensor | None = None,
    local_size: int | None = None,
    allow_is_causal_skip: bool = True,
    **_: Any,
) -> bool:
    is_last = kv_offset == 0 and q_offset + q_length == kv_length
    is_far = local_size is not None and kv_length >= local_size
    whole = attention_mask is None or bool(attention_mask.all())
    return allow_is_causal_skip and is_last and not is_far and whole
