"""Step 2 (eq. 2, 3, 7): the R²-Former, its relevance head and the projection to E^R.

    features (k × 3) ─ standardise ─ linear (+ positions) ─ Transformer encoder ─▶ H (k × h₁)
                                                  H ─┬─ head ───────▶ relevance logits (k)
                                                     │      ┆ + probability × direction
                                                     └──────┴─ projection ─▶ E^R (k × slots × h₂)

All of it computes in fp32 whatever the LLM's dtype. The dotted line is ours, not the paper's, and off by default: the
head's probability moves H, and so E^R, along one learned direction, so that training can show the LLM first what an
anchor of a surely relevant document looks like (gold labels as probabilities) and then the head's own, less sure
ones.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from r2ag.errors import InputError
from r2ag.types import FEATURES, VECTOR


@dataclass(frozen=True)
class FormerConfig:
    """Sizes of the R²-Former; the defaults are the published ones (learning rate and loss stand in training)."""

    llm_hidden_size: int
    features: tuple[str, ...] = FEATURES  # or some of these, and names of finders' scores (Document.scores)
    hidden_size: int = 256
    heads: int = 4
    layers: int = 1
    feed_forward_size: int = 2048
    dropout: float = 0.1
    max_documents: int = 32
    slots: int = 1  # embeddings in front of each document; the paper has one
    positions: bool = True
    relevance_direction: bool = False  # the head's probability moves E^R along a learned direction
    vector_size: int = 0  # the encoder's dimension, where VECTOR stands in place of features

    def __post_init__(self) -> None:
        if self.hidden_size % self.heads:
            raise InputError(f"hidden_size {self.hidden_size} is not a multiple of heads {self.heads}; change either.")
        if not self.features or len(set(self.features)) < len(self.features):
            raise InputError(f"The features {list(self.features)} must be at least one, each named once.")
        if min(self.max_documents, self.slots, self.layers) < 1:
            raise InputError("max_documents, slots and layers must each be at least 1.")
        if (VECTOR in self.features) != (self.vector_size > 0) or (self.vector_size and len(self.features) > 1):
            raise InputError(f'"{VECTOR}" stands alone in place of features, and is what the method xrag reads.')

    @property
    def inputs(self) -> int:
        """Numbers a document."""
        return self.vector_size or len(self.features)

    @property
    def named_features(self) -> tuple[str, ...]:
        """Those that mean something to people, first among the inputs."""
        return () if self.vector_size else self.features


class FormerOutput(NamedTuple):
    """`logits`: relevance, (batch, k). `anchors`: E^R, (batch, k, slots, llm_hidden_size). Padded rows mean nothing."""

    logits: Tensor
    anchors: Tensor


class Former(nn.Module, ABC):
    """What makes anchors of a list: the R²-Former, or a control that takes its place (r2ag.adapter.controls)."""

    config: FormerConfig

    @abstractmethod
    def forward(self, features: Tensor, mask: Tensor, relevance: Tensor | None = None) -> FormerOutput:
        """Anchors and relevance of a batch of lists; see R2Former."""

    @abstractmethod
    def standardise_by(self, features: Tensor, mask: Tensor) -> None:
        """Takes what it needs of the training records' real documents: (batch, k, inputs) and (batch, k)."""

    @abstractmethod
    def scale_anchors_to(self, embeddings: Tensor) -> None:
        """Starts E^R at the mean and the scale of the LLM's token embeddings, (tokens, llm_hidden_size)."""


class R2Former(Former):
    """A small Transformer over the documents of one list; see the module's drawing."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: FormerConfig) -> None:
        super().__init__()
        self.config = config
        count = config.inputs
        self.register_buffer("mean", torch.zeros(count))
        self.register_buffer("deviation", torch.ones(count))
        self.input = nn.Linear(count, config.hidden_size)
        self.position = nn.Embedding(config.max_documents, config.hidden_size) if config.positions else None
        layer = nn.TransformerEncoderLayer(
            config.hidden_size, config.heads, config.feed_forward_size, config.dropout, batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self.head = nn.Linear(config.hidden_size, 1)
        self.projection = nn.Linear(config.hidden_size, config.slots * config.llm_hidden_size)
        # In H, not in E^R: a parameter among the LLM's embeddings would move by the learning rate at each step, far too
        # slowly to become anything; through the projection it moves hundreds of times faster.
        self.direction = nn.Parameter(torch.randn(config.hidden_size)) if config.relevance_direction else None

    def forward(self, features: Tensor, mask: Tensor, relevance: Tensor | None = None) -> FormerOutput:
        """Anchors and relevance of a batch of lists.

        Args:
            features: (batch, k, number of features), not standardised; NaN, not known, counts as the training mean.
            mask: (batch, k), True for real documents; attention is hidden from padding only.
            relevance: (batch, k) probabilities that move E^R in place of the head's own, which stand where it is NaN;
                gold labels in training's curriculum and in the upper bound. Read only with `relevance_direction`.

        Raises:
            InputError: k is greater than max_documents.
        """
        k = features.shape[1]
        if k > self.config.max_documents:
            raise InputError(
                f"{k} documents are more than this adapter's max_documents of {self.config.max_documents}."
            )
        known = features.where(~features.isnan(), self.mean)
        hidden = self.input((known - self.mean) / self.deviation)
        if self.position is not None:
            hidden = hidden + self.position.weight[:k]
        hidden = self.encoder(hidden, src_key_padding_mask=~mask)
        logits = self.head(hidden).squeeze(-1)
        if self.direction is not None:
            # L_QDM alone teaches the head: were the answer's loss to move it, its logits would stop being relevance.
            probability = logits.detach().sigmoid()
            if relevance is not None:
                probability = relevance.to(probability).where(~relevance.isnan().to(probability.device), probability)
            hidden = hidden + probability[..., None] * self.direction
        anchors = self.projection(hidden).unflatten(-1, (self.config.slots, self.config.llm_hidden_size))
        return FormerOutput(logits, anchors)

    def freeze_relevance(self) -> None:
        """What gives H and the logits learns no more; the projection and the direction do."""
        for part in (self.input, self.position, self.encoder, self.head):
            if part is not None:
                part.requires_grad_(False)

    def standardise_by(self, features: Tensor, mask: Tensor) -> None:
        """Takes mean and deviation of the training records' real documents; both become part of the adapter."""
        real = features[mask]
        mean = real.nanmean(dim=0)
        self.mean.copy_(mean)
        deviation = (real - mean).square().nanmean(dim=0).sqrt()
        # A feature that never varied in training must not explode when it does.
        self.deviation.copy_(deviation.where(deviation > 1e-6, torch.ones_like(deviation)))

    @torch.no_grad()
    def scale_anchors_to(self, embeddings: Tensor) -> None:
        """Starts E^R at the mean and the scale of the LLM's own token embeddings, as its embedding layer outputs them.

        The encoder ends in a LayerNorm, so rows of H have mean square 1; PyTorch's default start leaves anchors too
        small for a frozen LLM to notice.

        Args:
            embeddings: (tokens, llm_hidden_size), outputs of the LLM's embedding layer.
        """
        deviation = embeddings.float().std(dim=0).mean()
        nn.init.normal_(self.projection.weight, std=float(deviation) / self.config.hidden_size**0.5)
        self.projection.bias.copy_(embeddings.float().mean(dim=0).repeat(self.config.slots))
