"""Continuous batching in process: answers are written side by side, and may join and leave between two tokens.

        row A   ▒▒▒▒▒ p p p p p p a a a a|a a          p: prompt, a: answer, ▒: padding
        row B   ▒▒▒▒▒▒▒▒▒ p p b b b b b b|b b          | : what was written when row C joined
        row C             p p p p p p p p|c c

One row's keys and values stand to the right of its padding, so that all rows write into the same column. Prompts that
join are read by themselves, and the shorter side is padded; when a row has left, columns that nobody uses are cut off.
Behind the last column there is room for some more, for otherwise each token would copy all that is there.
"""

from __future__ import annotations

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

_ROOM = 32  # columns that a layer's memory grows by
_TOGETHER = 512  # tokens that are read at once, padding included; on CPUs more of them are no faster


class Batch:
    """Answers that one LLM writes side by side; for one thread.

    Args:
        openings: those that the LLM has read for other batches.

    Raises:
        InputError: the LLM keeps more than keys and values (state-space or linear attention layers).
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
        self._cache: Any = None  # a DynamicCache whose layers hold keys and values (rows, heads, length, size)
        self._mask = torch.zeros(0, 0)  # (rows, length), 0 where a row has padding

    def __len__(self) -> int:
        return len(self.rows)

    @torch.inference_mode()
    def join(self, mixed: MixedEmbeddings, *rows: Writing) -> None:
        """Reads the rows' prompts, writes the first token of each answer, and takes in those that it doesn't end."""
        caches, masks = ([self._cache], [self._mask]) if self.rows else ([], [])
        joining: list[Writing] = []
        for indices in _read_together(mixed.mask.sum(dim=-1).tolist(), mixed.openings):
            together = [rows[index] for index in indices]
            cache, mask = self._read(mixed, torch.tensor(indices), together)
            caches.append(cache)
            masks.append(mask)
            joining += together
        self._mask = _stack(masks, dim=-1)
        self._cache = DynamicCache()
        for layers in zip(*(cache.layers for cache in caches), strict=True):
            keys, values = (_stack([getattr(layer, kv) for layer in layers], dim=-2) for kv in ("keys", "values"))
            self._cache.layers.append(_GrowingLayer(keys, values))
        self.rows += joining
        self.drop([row for row in rows if row.has_ended])

    def _read(self, mixed: MixedEmbeddings, indices: Tensor, rows: list[Writing]) -> tuple[DynamicCache, Tensor]:
        """Keys and values of some prompts and their mask; their answers get their first tokens."""
        padding = int(mixed.mask[indices].any(dim=0).int().argmax())
        openings = tuple(mixed.openings[index] for index in indices.tolist()) if mixed.openings else ()
        prompts = MixedEmbeddings(mixed.embeddings[indices, padding:], mixed.mask[indices, padding:], openings)
        unread = self._openings.behind(prompts, adds=True)
        # Without a config every layer keeps all keys, also those of sliding windows, which the mask then hides.
        cache = unread.cache or DynamicCache()
        arguments = unread.arguments | {"past_key_values": cache}
        logits = self.llm(**arguments, use_cache=True, logits_to_keep=1).logits[:, -1]
        for row, scores in zip(rows, logits, strict=True):
            row.take(row.choose(scores))
        return cache, unread.mask

    @torch.inference_mode()
    def step(self) -> None:
        """Writes one token of each answer; those that it ends leave."""
        if not self.rows:
            return
        self._mask = F.pad(self._mask, (0, 1), value=1)
        logits = self.llm(
            input_ids=torch.tensor([[row.last_token] for row in self.rows], device=self._mask.device),
            attention_mask=self._mask,
            position_ids=self._mask.sum(dim=-1, keepdim=True) - 1,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        for row, scores in zip(self.rows, logits, strict=True):
            row.take(row.choose(scores))
        self.drop([row for row in self.rows if row.has_ended])

    @torch.inference_mode()
    def drop(self, leaving: list[Writing]) -> None:
        """Lets go of answers, ended or not."""
        kept = [index for index, row in enumerate(self.rows) if row not in leaving]
        if len(kept) == len(self.rows):
            return
        self.rows = [self.rows[index] for index in kept]
        if not kept:
            self._cache = None
            return
        indices = torch.tensor(kept, device=self._mask.device)
        self._mask = self._mask[indices]
        used = int(self._mask.any(dim=0).int().argmax())  # the first column with something in it
        self._mask = self._mask[:, used:]
        for layer in self._cache.layers:
            layer.keep(indices.to(layer.keys.device), used)


class _GrowingLayer(DynamicLayer):
    """Keys and values (rows, heads, length, size) with room for further columns behind them."""

    keys: Tensor
    values: Tensor

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        untyped: Any = super()
        untyped.__init__()
        self.lazy_initialization(keys, values)
        self._memory: tuple[Tensor, ...] = ()
        self._set(keys, values)

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Adds columns; all of them come back."""
        start, end = self.keys.shape[-2], self.keys.shape[-2] + key_states.shape[-2]
        if end > self._memory[0].shape[-2]:
            self._memory = tuple(F.pad(kv, (0, 0, 0, end - start + _ROOM)) for kv in (self.keys, self.values))
        for memory, states in zip(self._memory, (key_states, value_states), strict=True):
            memory[..., start:end, :] = states
        self.keys, self.values = (memory[..., :end, :] for memory in self._memory)
        return self.keys, self.values

    def keep(self, rows: Tensor, start: int) -> None:
        """Lets go of other rows, and of the columns before `start`."""
        self._set(self.keys[rows, :, start:], self.values[rows, :, start:])

    def _set(self, keys: Tensor, values: Tensor) -> None:
        self.keys, self.values = keys, values
        self._memory = (keys, values)


def _read_together(lengths: Sequence[int], openings: Sequence[Sequence[int]]) -> list[list[int]]:
    """Prompts by their indices, short ones with the same opening together: what saves products is lost again to
    padding in long ones."""
    groups: list[list[int]] = []
    begin = openings or [()] * len(lengths)
    for index in sorted(range(len(lengths)), key=lambda index: (begin[index], lengths[index])):
        last = groups[-1] if groups else []
        if last and begin[last[0]] == begin[index] and (len(last) + 1) * lengths[index] <= _TOGETHER:
            last.append(index)
        else:
            groups.append([index])
    return groups


def _stack(parts: Sequence[Tensor], dim: int) -> Tensor:
    """All along the first axis, shorter ones padded with zeros at the beginning of `dim`, -1 or -2."""
    length = max(part.shape[dim] for part in parts)
    behind = (0, 0) * (-dim - 1)  # F.pad counts axes from the last one
    return torch.cat([F.pad(part, (*behind, length - part.shape[dim], 0)) for part in parts])
