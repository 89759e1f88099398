"""What finds documents, and what it hands back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from r2ag.encoder.probe import Probe
from r2ag.types import Document


@dataclass(frozen=True)
class Found:
    """Documents by falling score of the finder, which no feature is made of.

    vectors: float32, shape (k, dimension), from the encoder that `encoder` recognises; None where the finder has none.
    """

    documents: tuple[Document, ...]
    scores: tuple[float, ...]
    vectors: np.ndarray | None = None
    encoder: Probe | None = None

    def __len__(self) -> int:
        return len(self.documents)


class Finder(Protocol):
    """Anything that finds documents for a question."""

    def find(self, question: str, k: int, where: str | None = None) -> Found:
        """At most k documents, the best first; fewer or none where no more match.

        Args:
            where: a condition that the documents must meet, as in r2ag.store.where.

        Raises:
            InputError: `where` can't be read, or there is nothing to search.
        """
