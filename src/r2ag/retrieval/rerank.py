"""Reranking by a cross-encoder, which reads question and document together: slow, so it sees the best only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from r2ag.models.loading import loading
from r2ag.retrieval.base import Finder, Found
from r2ag.types import Document

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder
    from torch import nn

RERANKED = 50


class RerankedFinder(Finder):
    """Sorts another finder's best documents by a cross-encoder's scores."""

    def __init__(self, finder: Finder, model: CrossEncoder, depth: int = RERANKED) -> None:
        self.finder = finder
        self.model = model
        self.depth = depth

    def find(self, question: str, k: int, where: str | None = None) -> Found:
        found = self.finder.find(question, max(k, self.depth), where)
        if not len(found):
            return found
        scores = self.scores(question, found.documents)
        order = np.argsort(-scores, kind="stable")[:k].tolist()
        return Found(
            documents=tuple(found.documents[index] for index in order),
            scores=tuple(float(scores[index]) for index in order),
            vectors=None if found.vectors is None else found.vectors[order],
            encoder=found.encoder,
        )

    def scores(self, question: str, documents: Sequence[Document]) -> np.ndarray:
        """How well each document answers the question: float32, shape (len(documents),)."""
        return relevance_scores(self.model, question, documents)


def relevance_scores(
    model: CrossEncoder, question: str, documents: Sequence[Document], activation: nn.Module | None = None
) -> np.ndarray:
    """How well each document answers the question: float32, shape (len(documents),).

    Args:
        activation: what turns logits into scores; None takes the model's own, which may be none or a sigmoid.
    """
    pairs = [(question, document.passage) for document in documents]
    scores = model.predict(pairs, show_progress_bar=False, activation_fn=activation)
    return np.asarray(scores, dtype=np.float32).reshape(len(documents))


def load_cross_encoder(name: str, device: str | None = None) -> CrossEncoder:
    """Loads a sentence-transformers cross-encoder by folder or hub name.

    Raises:
        InputError: the name is unknown, the folder holds no such model, or it gives several scores to a pair.
    """
    with loading("reranker", name, name):
        from sentence_transformers import CrossEncoder

        model: CrossEncoder = CrossEncoder(name, device=device, trust_remote_code=False)
        if model.num_labels != 1:
            raise ValueError(f"it gives {model.num_labels} scores to a pair, and a reranker gives one")
        return model
