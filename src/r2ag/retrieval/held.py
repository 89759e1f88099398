"""Documents that are held in memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from r2ag.encoder.encoder import FeatureEncoder
from r2ag.errors import InputError
from r2ag.types import Document, RankedList


class HeldDocuments:
    """Found by the similarity of their vectors: float32, shape (documents, dimension)."""

    def __init__(self, encoder: FeatureEncoder) -> None:
        self.documents: tuple[Document, ...] = ()
        self.vectors = np.zeros((0, encoder.dimension), dtype=np.float32)
        self._encoder = encoder

    def add(self, documents: Sequence[Document]) -> None:
        """Encodes documents and holds them."""
        self.vectors = np.concatenate([self.vectors, self._encoder.encode_documents(documents)])
        self.documents += tuple(documents)

    def nearest(self, question: str, k: int) -> RankedList:
        """The k nearest to a question.

        Raises:
            InputError: there are none.
        """
        if not self.documents:
            raise InputError("There are no documents to answer from; add some first.")
        query = self._encoder.encode_queries([question])[0]
        scores = self.vectors @ query
        nearest = np.argsort(-scores, kind="stable")[:k].tolist()
        return RankedList(question, tuple(self.documents[i] for i in nearest), query, self.vectors[nearest])
