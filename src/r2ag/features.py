"""Step 1 (App. A, eq. 10-12): what the retriever knows of each document, as three numbers.

For the query vector x^q and the document vectors x^d_1..x^d_k in the order in which they stand in the prompt:

    relevance  r_i = sim(x^q, x^d_i)
    precedent  γ_i = sim(x^d_i, Σ_{j<i} w_j x^d_j),  w = softmax(r) over the list,  γ_1 = 0
    neighbour  ζ_i = mean of sim(x^d_i, x^d_{i-1}) and sim(x^d_i, x^d_{i+1}); the ends have one, and ζ = 0 for k = 1
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from r2ag.encoder import Similarity
from r2ag.types import RankedList

FEATURES = ("relevance", "precedent", "neighbour")


def retrieval_features(query: Tensor, documents: Tensor, mask: Tensor, similarity: Similarity = "cosine") -> Tensor:
    """Features of a batch of lists, without a loop over documents.

    Args:
        query: (batch, dimension).
        documents: (batch, k, dimension); rows behind a list's end may hold anything finite.
        mask: (batch, k), True for real documents, which stand before the padding.
        similarity: the encoder's own; with "cosine" the weighted sum of eq. 11 is normalised again.

    Returns:
        (batch, k, 3) in the order of FEATURES, 0 where padded.
    """
    documents = documents.masked_fill(~mask[..., None], 0.0)
    if similarity == "cosine":
        query, documents = F.normalize(query, dim=-1), F.normalize(documents, dim=-1)
    relevance = (documents @ query[..., None]).squeeze(-1)
    precedent = _precedent(relevance, documents, mask, similarity)
    neighbour = _neighbour(documents, mask)
    return torch.stack([relevance, precedent, neighbour], dim=-1).masked_fill(~mask[..., None], 0.0)


def _precedent(relevance: Tensor, documents: Tensor, mask: Tensor, similarity: Similarity) -> Tensor:
    weights = relevance.masked_fill(~mask, -torch.inf).softmax(dim=-1).masked_fill(~mask, 0.0)
    through_each = (weights[..., None] * documents).cumsum(dim=1)
    before_each = F.pad(through_each[:, :-1], (0, 0, 1, 0))
    if similarity == "cosine":
        before_each = F.normalize(before_each, dim=-1)
    return (documents * before_each).sum(dim=-1)


def _neighbour(documents: Tensor, mask: Tensor) -> Tensor:
    adjacent = (documents[:, 1:] * documents[:, :-1]).sum(dim=-1)
    both_real = (mask[:, 1:] & mask[:, :-1]).to(adjacent.dtype)
    adjacent = adjacent * both_real
    total = F.pad(adjacent, (1, 0)) + F.pad(adjacent, (0, 1))
    count = F.pad(both_real, (1, 0)) + F.pad(both_real, (0, 1))
    return total / count.clamp(min=1.0)


def list_features(lists: Sequence[RankedList], similarity: Similarity) -> tuple[Tensor, Tensor]:
    """Features of lists of unequal length: ((batch, k, 3), mask (batch, k)) with k the longest list's length."""
    query = torch.stack([torch.from_numpy(ranked.query_vector) for ranked in lists])
    documents = torch.nn.utils.rnn.pad_sequence(
        [torch.from_numpy(ranked.document_vectors) for ranked in lists], batch_first=True
    )
    lengths = torch.tensor([len(ranked) for ranked in lists])
    mask = torch.arange(documents.shape[1]) < lengths[:, None]
    return retrieval_features(query, documents, mask, similarity), mask
