"""What many prompts begin with (instructions, examples, the chat format) is read once, and no more for each question.

        opening                     question, documents, slots
        ├── keys and values kept ──┤├── read for each prompt ──────┤

The model is causal: nothing behind the opening changes its keys and values, and while the LLM is frozen, training can't
either. With the default prompt it is a fifth of a training list, and a third of what the shipped adapter reads.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from r2ag.method.embeddings import MixedEmbeddings

LEAST, MOST = 16, 2048  # tokens of an opening that is kept
KEPT = 4  # openings, the latest ones: one prompt each for R²AG and plain RAG, and two system prompts
_KNOWN_LAYERS = frozenset({"full_attention", "sliding_attention"})

Layers = tuple[tuple[Tensor, Tensor], ...]
"""Keys and values of each layer, (1, key heads, tokens, size)."""


@dataclass(frozen=True)
class Unread:
    """What is left to read of a batch of prompts.

    `embeddings` (batch, length, h₂); `mask` (batch, opening + length), `positions` (batch, length); `cache` holds what
    has been read, None if nothing has been read.
    """

    embeddings: Tensor
    mask: Tensor
    positions: Tensor
    cache: DynamicCache | None

    @classmethod
    def whole(cls, mixed: MixedEmbeddings) -> Unread:
        """Prompts of which nothing has been read."""
        return cls(mixed.embeddings, mixed.mask, mixed.positions, None)

    @property
    def arguments(self) -> dict[str, Any]:
        """For the LLM."""
        return {
            "inputs_embeds": self.embeddings,
            "attention_mask": self.mask,
            "position_ids": self.positions,
            "past_key_values": self.cache,
        }


class Openings:
    """Keys and values of the openings that an LLM has read last; for one thread, and as long as its weights stay."""

    def __init__(self, llm: PreTrainedModel) -> None:
        self.llm: Any = llm
        self._kept: OrderedDict[tuple[int, ...], Layers] = OrderedDict()
        self._keeps_more = bool(unknown_layers(llm))
        self._has_windows = getattr(llm.config.get_text_config(), "sliding_window", None) is not None

    def behind(self, mixed: MixedEmbeddings, adds: bool) -> Unread:
        """The prompts behind their opening, where all of them have the same one; else the whole.

        Args:
            adds: whether reading them adds to the cache, for an answer to go on from, or leaves it as it is, so that
                a layer may be computed again.
        """
        opening = self._shared(mixed)
        count = len(opening)
        if not count:
            return Unread.whole(mixed)
        # Rows end at the right edge, so that a shorter one's padding comes to stand behind the opening.
        behind = mixed.mask[:, : mixed.mask.shape[1] - count]
        mask = torch.cat([torch.ones_like(behind[:, :1]).expand(-1, count), behind], dim=1)
        positions = (mask.cumsum(dim=-1) - 1)[:, count:]
        rows = len(mixed.embeddings)
        cache = DynamicCache()
        for keys, values in self._layers(opening):
            kind: Any = DynamicLayer if adds else _FixedLayer
            layer = kind()
            layer.lazy_initialization(keys, values)
            layer.keys, layer.values = keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1)
            cache.layers.append(layer)
        return Unread(mixed.embeddings[:, count:], mask, positions, cache)

    def _shared(self, mixed: MixedEmbeddings) -> tuple[int, ...]:
        openings = set(mixed.openings)
        # A sliding window would take padding behind the opening for distance.
        if len(openings) != 1 or self._keeps_more or (self._has_windows and not mixed.mask.all()):
            return ()
        (opening,) = openings
        return opening if LEAST <= len(opening) <= MOST else ()

    def _layers(self, opening: tuple[int, ...]) -> Layers:
        if opening not in self._kept:
            self._kept[opening] = self._read(opening)
        self._kept.move_to_end(opening)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return self._kept[opening]

    # Tensors of inference mode could not take part in a training step.
    @torch.inference_mode(False)
    @torch.no_grad()
    def _read(self, opening: Sequence[int]) -> Layers:
        table = self.llm.get_input_embeddings()
        ids = torch.tensor([list(opening)], device=next(table.parameters()).device)
        # Without a config every layer keeps all keys, also those of sliding windows, which the mask then hides.
        cache: Any = DynamicCache()
        self.llm(inputs_embeds=table(ids), past_key_values=cache, use_cache=True, logits_to_keep=1)
        return tuple((layer.keys, layer.values) for layer in cache.layers)


class _FixedLayer(DynamicLayer):
    """Gives what it is asked to add behind what it has, and keeps nothing of it."""

    keys: Tensor
    values: Tensor

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Keys and values of all."""
        return torch.cat([self.keys, key_states], dim=-2), torch.cat([self.values, value_states], dim=-2)


def unknown_layers(llm: PreTrainedModel) -> list[str]:
    """Kinds of layers that keep more than keys and values."""
    return sorted(set(getattr(llm.config.get_text_config(), "layer_types", None) or ()) - _KNOWN_LAYERS)
