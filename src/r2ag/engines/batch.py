"""Continuous batching in process: answers are written side by side, and may join and leave between two tokens.

        row A   ▒▒▒▒▒ p p p p p p a a a a|a a          p: prompt, a: answer, ▒: padding
        row B   ▒▒▒▒▒▒▒▒▒ p p b b b b b b|b b          | : what was written when row C joined
        row C             p p p p p p p p|c c

One row's keys and values stand to the right of its padding, so that all rows write into the same column. A prompt that
joins is read by itself, and the shorter side is padded; when a row has left, columns that nobody uses are cut off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import DynamicCache

from r2ag.engines.writing import Writing
from r2ag.errors import InputError
from r2ag.model import MixedEmbeddings

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_KNOWN_LAYERS = frozenset({"full_attention", "sliding_attention"})


class Batch:
    """Answers that one LLM writes side by side; for one thread.

    Raises:
        InputError: the LLM keeps more than keys and values (state-space or linear attention layers).
    """

    def __init__(self, llm: PreTrainedModel) -> None:
        unknown = set(getattr(llm.config, "layer_types", None) or ()) - _KNOWN_LAYERS
        if unknown:
            raise InputError(
                f"The LLM {llm.config.name_or_path} has layers of the kind {sorted(unknown)[0]}, whose memory can't be "
                "shared by answers that come and go; choose an LLM with attention layers alone."
            )
        self.llm: Any = llm
        self.rows: list[Writing] = []
        self._cache: Any = None  # a DynamicCache whose layers hold keys and values (rows, heads, length, size)
        self._mask = torch.zeros(0, 0)  # (rows, length), 0 where a row has padding

    def __len__(self) -> int:
        return len(self.rows)

    @torch.inference_mode()
    def join(self, mixed: MixedEmbeddings, row: Writing) -> None:
        """Reads one prompt, writes the first token of its answer, and takes it in."""
        # Without a config every layer keeps all keys, also those of sliding windows, which the mask then hides.
        cache: Any = DynamicCache()
        logits = self.llm(
            inputs_embeds=mixed.embeddings,
            attention_mask=mixed.mask,
            position_ids=mixed.positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits
        row.take(row.choose(logits[0, -1]))
        if row.has_ended:
            return
        if self.rows:
            self._mask = _stack(self._mask, mixed.mask, dim=-1)
            for layer, joining in zip(self._cache.layers, cache.layers, strict=True):
                layer.keys = _stack(layer.keys, joining.keys, dim=-2)
                layer.values = _stack(layer.values, joining.values, dim=-2)
        else:
            self._cache, self._mask = cache, mixed.mask
        self.rows.append(row)

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
            layer.keys, layer.values = (kv[indices.to(kv.device), :, used:] for kv in (layer.keys, layer.values))


def _stack(rows: Tensor, joining: Tensor, dim: int) -> Tensor:
    """Both along the first axis, the shorter padded with zeros at the beginning of `dim`, -1 or -2."""
    length = max(rows.shape[dim], joining.shape[dim])
    behind = (0, 0) * (-dim - 1)  # F.pad counts axes from the last one
    return torch.cat([F.pad(part, (*behind, length - part.shape[dim], 0)) for part in (rows, joining)])
