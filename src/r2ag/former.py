"""Step 2 (eq. 2, 7) and the projection of step 3 (eq. 3): the R²-Former.

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

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
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


class R2Former(nn.Module):
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


class RankTokens(nn.Module):
    """The control of figure 3: learned embeddings, one set a rank, that know the rank but none of the features.

    Takes an R²-Former's place; its relevance logits are zero.
    """

    def __init__(self, config: FormerConfig) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Parameter(torch.zeros(config.max_documents, config.slots, config.llm_hidden_size))

    def forward(self, features: Tensor, mask: Tensor, relevance: Tensor | None = None) -> FormerOutput:
        """Anchors by position alone; the arguments are those of R2Former."""
        batch, k = mask.shape
        return FormerOutput(features.new_zeros(batch, k), self.tokens[:k].expand(batch, -1, -1, -1))

    def standardise_by(self, features: Tensor, mask: Tensor) -> None:
        """Features are not read."""

    @torch.no_grad()
    def scale_anchors_to(self, embeddings: Tensor) -> None:
        """Starts at the mean and the scale of the LLM's token embeddings, as R2Former does."""
        embeddings = embeddings.float()
        noise = torch.randn_like(self.tokens) * embeddings.std(dim=0).mean()
        self.tokens.copy_(embeddings.mean(dim=0) + noise)


class DocumentProjector(nn.Module):
    """What xRAG puts in a text's place: the document's vector, through a small network (arXiv 2405.13792, section 3.2).

    Takes an R²-Former's place; each document's anchors know its own vector alone, and relevance logits are zero.
    """

    def __init__(self, config: FormerConfig) -> None:
        super().__init__()
        self.config = config
        self.input = nn.Linear(config.inputs, config.llm_hidden_size)
        self.projection = nn.Linear(config.llm_hidden_size, config.slots * config.llm_hidden_size)

    def forward(self, features: Tensor, mask: Tensor, relevance: Tensor | None = None) -> FormerOutput:
        """Anchors of (batch, k, vector_size) vectors; the arguments are those of R2Former."""
        anchors = self.projection(F.gelu(self.input(features)))
        return FormerOutput(features.new_zeros(mask.shape), anchors.unflatten(-1, (self.config.slots, -1)))

    def standardise_by(self, features: Tensor, mask: Tensor) -> None:
        """Vectors are read as they are."""

    @torch.no_grad()
    def scale_anchors_to(self, embeddings: Tensor) -> None:
        """Starts at the mean and the scale of the LLM's token embeddings, as R2Former does."""
        size = self.config.llm_hidden_size
        # Entries of a unit vector have mean square 1 / vector_size; the network's inner ones shall have about 1.
        nn.init.normal_(self.input.weight)
        nn.init.normal_(self.projection.weight, std=float(embeddings.float().std(dim=0).mean()) / size**0.5)
        self.projection.bias.copy_(embeddings.float().mean(dim=0).repeat(self.config.slots))


Former = R2Former | RankTokens | DocumentProjector


def new_former(method: str, config: FormerConfig) -> Former:
    """What gives the anchors of a method that may be trained; RAFT, which has no slots, leaves its own as it starts."""
    if method == "learned-tokens":
        return RankTokens(config)
    return DocumentProjector(config) if method == "xrag" else R2Former(config)
