"""The interface of finders, and what they return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from r2ag.encoder.probe import Probe
from r2ag.types import Document


@dataclass(frozen=True)
class Found:
    """Documents sorted by the finder's score, best first. An adapter reads scores only as features that it names.

    vectors: float32, shape (k, dimension), from the encoder that `encoder` recognises; None if the finder has none.
    """

    documents: tuple[Document, ...]
    scores: tuple[float, ...]
    vectors: np.ndarray | None = None
    encoder: Probe | None = None

    def __len__(self) -> int:
        return len(self.documents)


class Finder(Protocol):
    """Finds documents for a question. It does not own its store: close the store where it was opened."""

    def find(self, question: str, k: int, where: str | None = None) -> Found:
        """At most k documents, best first; fewer or none if no more match.

        Args:
            where: a condition that the documents must meet, as in r2ag.store.where.

        Raises:
            InputError: `where` can't be read, or there is nothing to search.
        """
