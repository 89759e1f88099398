"""Continuous batching in this process: answers are written together, and may join and leave between two tokens.

        row A   ▒▒▒▒▒ p p p p p p a a a a|a a          p: prompt, a: answer, ▒: padding
        row B   ▒▒▒▒▒▒▒▒▒ p p b b b b b b|b b          | : what was written when row C joined
        row C             p p p p p p p p|c c

Each row is padded on the left, so that all rows write their next key and value into the same column. Prompts that join
are read by themselves; then the shorter side is padded. When a row leaves, columns that no other row uses are cut off.
The cache has spare columns at its end, because otherwise each token would copy the whole cache.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from r2ag.engines.writing import Writing
from r2ag.errors import InputError
from r2ag.method.embeddings import MixedEmbeddings
from r2ag.method.prefix_cache import Openings, unknown_layers

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_SPARE_COLUMNS = 32  # what a layer's cache grows by
_TOKENS_AT_ONCE = 512  # of prompts that a CPU reads together, padding included; more are no faster there


class Batch:
    """Answers that one LLM writes together; for one thread.

    Args:
        openings: those that the LLM has read for other batches.

    Raises:
        InputError: the LLM keeps more than keys and values (state-space or linear-attention layers).
    """

    def __init__(self, llm: PreTrainedModel, openings: Openings | None = None) -> None:
        if unknown := unknown_layers(llm):
            raise InputError(
                f"The LLM {llm.config.name_or_path} has layers of the kind {unknown[0]}, whose memory can't be "
                "shared by answers that come and go; choose an LLM with attention layers alone."
            )
        self.llm: Any = llm
        self._openings = openings or Openings(llm)
        self.rows: list[Writing] = []
        self._cache: Any = None  # a DynamicCache of _GrowingLayer
        self._mask = torch.zeros(0, 0)  # (rows, length), 0 where a row has padding

    def __len__(self) -> int:
        return len(self.rows)

    @torch.inference_mode()
    def join(self, mixed: MixedEmbeddings, *rows: Writing) -> None:
        """Reads the rows' prompts, writes the first token of each answer, and adds the answers that go on.

        If a prompt can't be read, the batch is as it was.
        """
        caches, masks = ([self._cache], [self._mask]) if self.rows else ([], [])
        joining: list[Writing] = []
        at_once = _TOKENS_AT_ONCE if mixed.embeddings.device.type == "cpu" else math.inf
        for indices in _group(mixed.mask.sum(dim=-1).tolist(), mixed.openings, at_once):
            group = [rows[index] for index in indices]
            cache, mask = self._read(mixed, torch.tensor(indices), group)
            caches.append(cache)
            masks.append(mask)
            joining += group
        cache = DynamicCache()
        for layers in zip(*(cache.layers for cache in caches), strict=True):
            keys, values = (_stack([getattr(layer, kv) for layer in layers], dim=-2) for kv in ("keys", "values"))
            cache.layers.append(_GrowingLayer(keys, values))
        self._mask, self._cache = _stack(masks, dim=-1), cache
        self.rows = [*self.rows, *joining]
        self._drop_ended()

    def _read(self, mixed: MixedEmbeddings, indices: Tensor, rows: list[Writing]) -> tuple[DynamicCache, Tensor]:
        """Keys and values of some prompts, and their mask; writes the first tokens of their answers."""
        padding = int(mixed.mask[indices].any(dim=0).int().argmax())
        openings = tuple(mixed.openings[index] for index in indices.tolist()) if mixed.openings else ()
        prompts = MixedEmbeddings(mixed.embeddings[indices, padding:], mixed.mask[indices, padding:], openings)
        unread = self._openings.behind(prompts, adds=True)
        # Without a config each layer keeps all keys. The mask hides those outside a sliding window.
        cache = unread.cache or DynamicCache()
        self._write(rows, unread.arguments | {"past_key_values": cache})
        return cache, unread.mask

    @torch.inference_mode()
    def step(self) -> None:
        """Writes one token of each answer; answers that end with it leave."""
        if not self.rows:
            return
        self._mask = F.pad(self._mask, (0, 1), value=1)
        arguments = {
            "input_ids": torch.tensor([[row.last_token] for row in self.rows], device=self._mask.device),
            "attention_mask": self._mask,
            "position_ids": self._mask.sum(dim=-1, keepdim=True) - 1,
            "past_key_values": self._cache,
        }
        self._write(self.rows, arguments)
        self._drop_ended()

    def _write(self, rows: list[Writing], arguments: dict[str, Any]) -> None:
        """Runs the LLM, and gives each row its next token."""
        logits = self.llm(**arguments, use_cache=True, logits_to_keep=1).logits[:, -1]
        for row, scores, likeliest in zip(rows, logits, logits.argmax(dim=-1).tolist(), strict=True):
            row.take(likeliest if row.sampling.is_greedy else row.draw(scores))

    def _drop_ended(self) -> None:
        self.drop([row for row in self.rows if row.has_ended])

    @torch.inference_mode()
    def drop(self, leaving: list[Writing]) -> None:
        """Removes answers, whether they have ended or not."""
        kept = [index for index, row in enumerate(self.rows) if row not in leaving]
        if len(kept) == len(self.rows):
            return
        self.rows = [self.rows[index] for index in kept]
        if not kept:
            self.clear()
            return
        used = int(self._mask[kept].any(dim=0).int().argmax())  # the first column that a row uses
        self._mask = self._mask[kept, used:]
        self._cache.layers = [
            _GrowingLayer(layer.keys[kept, :, used:], layer.values[kept, :, used:]) for layer in self._cache.layers
        ]

    def clear(self) -> None:
        """Removes all answers, in whatever state the batch is."""
        self.rows, self._cache = [], None


class _GrowingLayer(DynamicLayer):
    """Keys and values (rows, heads, length, size), with spare columns behind them."""

    keys: Tensor
    values: Tensor

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        untyped: Any = super()
        untyped.__init__()
        self.lazy_initialization(keys, values)
        self.keys, self.values = keys, values
        self._memory: tuple[Tensor, ...] = (keys, values)

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Adds columns, and returns all of them."""
        start, end = self.keys.shape[-2], self.keys.shape[-2] + key_states.shape[-2]
        if end > self._memory[0].shape[-2]:
            spare = end - start + _SPARE_COLUMNS
            self._memory = tuple(F.pad(kv, (0, 0, 0, spare)) for kv in (self.keys, self.values))
        for memory, states in zip(self._memory, (key_states, value_states), strict=True):
            memory[..., start:end, :] = states
        self.keys, self.values = (memory[..., :end, :] for memory in self._memory)
        return self.keys, self.values


def _group(lengths: Sequence[int], openings: Sequence[Sequence[int]], at_once: float) -> list[list[int]]:
    """Indices of the prompts to read together: with the same opening, of similar lengths, and of at most `at_once`
    tokens with padding. A longer prompt is read alone."""
    groups: list[list[int]] = []
    opening = openings or [()] * len(lengths)
    for index in sorted(range(len(lengths)), key=lambda index: (opening[index], lengths[index])):
        last = groups[-1] if groups else []
        if last and opening[last[0]] == opening[index] and (len(last) + 1) * lengths[index] <= at_once:
            last.append(index)
        else:
            groups.append([index])
    return groups


def _stack(parts: Sequence[Tensor], dim: int) -> Tensor:
    """All parts along the first axis; shorter ones get zeros at the beginning of `dim`, which is -1 or -2."""
    length = max(part.shape[dim] for part in parts)
    behind = (0, 0) * (-dim - 1)  # F.pad counts axes from the last one
    return torch.cat([F.pad(part, (*behind, length - part.shape[dim], 0)) for part in parts])
