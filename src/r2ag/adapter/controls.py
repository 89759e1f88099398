"""What may stand in the R²-Former's place for a comparison: controls, which are not the method."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from r2ag.method.former import Former, FormerConfig, FormerOutput, R2Former


class RankTokens(Former):
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


class DocumentProjector(Former):
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


def new_former(method: str, config: FormerConfig) -> Former:
    """What gives the anchors of a method that may be trained; RAFT, which has no slots, leaves its own as it starts."""
    if method == "learned-tokens":
        return RankTokens(config)
    return DocumentProjector(config) if method == "xrag" else R2Former(config)
