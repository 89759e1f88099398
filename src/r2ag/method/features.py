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

from r2ag.types import FEATURES, VECTOR, RankedList, Similarity


def retrieval_features(query: Tensor, documents: Tensor, mask: Tensor, similarity: Similarity = "cosine") -> Tensor:
    """Features of a batch of lists, without a loop over documents; the long vectors are read only to be multiplied.

    Args:
        query: (batch, dimension).
        documents: (batch, k, dimension); rows behind a list's end may hold anything.
        mask: (batch, k), True for real documents, which stand before the padding.
        similarity: the encoder's own; with "cosine" the weighted sum of eq. 11 is normalised again.

    Returns:
        (batch, k, 3) in the order of FEATURES, 0 where padded.
    """
    relevance = torch.linalg.vecdot(documents, query[:, None])
    gram = documents @ documents.transpose(1, 2)  # every product of two documents, (batch, k, k)
    relevance = relevance.masked_fill(~mask, 0.0)
    gram = gram.masked_fill(~(mask[:, :, None] & mask[:, None, :]), 0.0)
    if similarity == "cosine":
        scale = _inverse_length(gram.diagonal(dim1=1, dim2=2))
        gram = gram * scale[:, :, None] * scale[:, None, :]
        relevance = relevance * scale * _inverse_length((query * query).sum(dim=-1, keepdim=True))
    features = torch.stack([relevance, _precedent(relevance, gram, mask, similarity), _neighbour(gram, mask)], dim=-1)
    return features.masked_fill(~mask[..., None], 0.0)


def _precedent(relevance: Tensor, gram: Tensor, mask: Tensor, similarity: Similarity) -> Tensor:
    weights = relevance.masked_fill(~mask, -torch.inf).softmax(dim=-1)
    with_sum = (gram.tril(-1) @ weights[..., None]).squeeze(-1)  # x_i · Σ_{j<i} w_j x_j
    if similarity == "dot":
        return with_sum
    # Document by document, the sum's squared length grows by 2 w_j (x_j · the sum so far) + w_j² |x_j|².
    growth = weights * (2 * with_sum + weights * gram.diagonal(dim1=1, dim2=2))
    squared_length = F.pad(growth.cumsum(dim=-1)[:, :-1], (1, 0))
    return with_sum * _inverse_length(squared_length, least=1e-12)


def _neighbour(gram: Tensor, mask: Tensor) -> Tensor:
    adjacent = gram.diagonal(offset=1, dim1=1, dim2=2)
    both_real = (mask[:, 1:] & mask[:, :-1]).to(gram.dtype)
    total = F.pad(adjacent, (1, 0)) + F.pad(adjacent, (0, 1))
    count = F.pad(both_real, (1, 0)) + F.pad(both_real, (0, 1))
    return total / count.clamp(min=1.0)


def _inverse_length(squared_length: Tensor, least: float = 1e-24) -> Tensor:
    """1 / length, where what is shorter than rounding errors counts as zero: its products are zero, too."""
    return squared_length.clamp(min=least).rsqrt()


def list_features(
    lists: Sequence[RankedList], similarity: Similarity, names: Sequence[str] = FEATURES
) -> tuple[Tensor, Tensor]:
    """Features of lists of unequal length, with k the longest list's length.

    Args:
        names: which, in this order; one that is none of FEATURES is a finder's score in `Document.scores`. VECTOR
            alone stands for the documents' vectors.

    Returns:
        (batch, k, len(names)), NaN where a document lacks a score and 0 where padded, or (batch, k, dimension);
        mask (batch, k).
    """
    query = torch.stack([torch.from_numpy(ranked.query_vector) for ranked in lists])
    documents = torch.nn.utils.rnn.pad_sequence(
        [torch.from_numpy(ranked.document_vectors) for ranked in lists], batch_first=True
    )
    lengths = torch.tensor([len(ranked) for ranked in lists])
    mask = torch.arange(documents.shape[1]) < lengths[:, None]
    if tuple(names) == (VECTOR,):
        return documents, mask
    computed = retrieval_features(query, documents, mask, similarity)
    columns = [
        computed[..., FEATURES.index(name)] if name in FEATURES else _scores(lists, name, mask.shape[1])
        for name in names
    ]
    return torch.stack(columns, dim=-1), mask


def _scores(lists: Sequence[RankedList], name: str, k: int) -> Tensor:
    rows = [[document.scores.get(name, torch.nan) for document in ranked.documents] for ranked in lists]
    return torch.tensor([row + [0.0] * (k - len(row)) for row in rows])
