"""What torch does slowly on CPUs in bfloat16, done faster; benchmarks/attention.py measures it.

torch's fused attention multiplies bfloat16 without the CPU's instructions for it, so that at 600 tokens attention takes
half of a training step. Plain matrix products over blocks of queries use them, and skip what causality hides. Keys and
values that several heads share are not copied for each. And oneDNN, which multiplies matrices fast, takes nearly twice
as long as torch's own code for weights times a single row, as in each step of one answer.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from r2ag.models.prefix_attention import use

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CAUSAL_BLOCKS = "r2ag_causal_blocks"
onednn: Any = torch.backends.mkldnn
BLOCK = 128  # queries at a time: fastest for 500 and 1,500 tokens


def make_fast_on_cpu(llm: PreTrainedModel) -> None:
    """Sets block-wise attention, a copy-free head and products for single tokens; leaves alone what is not bfloat16, on
    a CPU, with "sdpa"."""
    on_cpu = llm.device.type == "cpu" and llm.dtype == torch.bfloat16
    if not on_cpu or llm.config._attn_implementation != "sdpa":
        return
    use(llm, CAUSAL_BLOCKS, causal_blocks)
    head = llm.get_output_embeddings()
    if head is not None:
        head.register_forward_pre_hook(_packed)
    if onednn.enabled:
        for module in llm.modules():
            if type(module) is nn.Linear:
                module.__class__ = _RowLinear


def causal_blocks(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Causal attention, block after block of queries, in transformers' attention interface.

    Args:
        query: (batch, heads, queries, size); the queries are the last of the keys.
        key, value: (batch, key heads, keys, size); heads are a multiple of the key heads. Values may be narrower.
        attention_mask: (batch, 1, queries, keys), True where a query may look; None is causal.

    Returns:
        (batch, queries, heads, size of the values), and no weights.
    """
    batch, heads, queries, size = query.shape
    groups = heads // key.shape[1]
    scaled = query * (size**-0.5 if scaling is None else scaling)
    grouped = scaled.unflatten(1, (-1, groups))  # the queries that share a key head are rows of one product
    keys, values = key.flatten(0, 1), value.flatten(0, 1)
    before = key.shape[2] - queries
    blocks = []
    for start in range(0, queries, BLOCK):
        stop = min(queries, start + BLOCK)
        seen = before + stop
        rows = grouped[..., start:stop, :].reshape(len(keys), groups * (stop - start), size)
        scores = rows @ keys[:, :seen].transpose(1, 2)
        _hide(
            scores.view(batch, -1, groups, stop - start, seen),
            None if attention_mask is None else attention_mask[..., start:stop, :seen],
        )
        weights = torch.softmax(scores, dim=-1)
        if module.training and dropout:
            weights = nn.functional.dropout(weights, dropout)
        blocks.append((weights @ values[:, :seen]).view(batch, heads, stop - start, -1))
    return torch.cat(blocks, dim=2).transpose(1, 2).contiguous(), None


def _hide(scores: Tensor, visible: Tensor | None) -> None:
    """In place, in scores (batch, key heads, groups, queries, keys) what a query may not look at."""
    lowest = torch.finfo(scores.dtype).min
    if visible is not None:
        scores.masked_fill_(~visible[:, :, None], lowest)
    elif (count := scores.shape[-2]) > 1:  # of a block, causality hides from its own keys alone
        later = torch.ones(count, count, dtype=torch.bool, device=scores.device).triu(1)
        scores[..., -count:].masked_fill_(later, lowest)


def _packed(head: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The last positions cut out of a batch keep the strides of the whole, and torch then copies the head's weights."""
    hidden = inputs[0]
    return (hidden.flatten(0, -2).unflatten(0, hidden.shape[:-1]), *inputs[1:])


class _WithoutOneDNN:
    """Switches torch's oneDNN off for the length of a block, and then back to what it was.

    torch has no switch for one product or thread. Another model that multiplies during such a block gets the same
    results up to rounding, only slower. Blocks of several threads may overlap: the last one to end restores the switch.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._was_enabled = True

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._was_enabled = onednn.enabled
                onednn.enabled = False
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                onednn.enabled = self._was_enabled


_without_onednn = _WithoutOneDNN()  # one, as the switch is one for the process


class _RowLinear(nn.Linear):
    """A layer that multiplies a single row without oneDNN."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        if input.shape[:-1].numel() > 1:
            return super().forward(input)
        with _without_onednn:
            return super().forward(input)
