"""What the LLM reads in place of token ids: embeddings of tokens, with E^R in the slots (eq. 4).

Padding stands on the left, in training too. Targets then end at the right edge, so that `logits_to_keep` computes
logits of answer positions alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class MixedEmbeddings:
    """What the LLM reads: `embeddings` (batch, length, h₂) in its dtype, padded on the left; `mask` (batch, length), 1
    where they are real.

    `openings` are token ids at the start of each row, after its padding, that many prompts share. An engine may keep
    their keys and values, or ignore them.
    """

    embeddings: Tensor
    mask: Tensor
    openings: tuple[tuple[int, ...], ...] = ()

    @property
    def positions(self) -> Tensor:
        """Position ids that start at 0 behind the padding, (batch, length)."""
        return (self.mask.cumsum(dim=-1) - 1).clamp(min=0)
