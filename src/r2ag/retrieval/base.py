"""The interface of finders, and what they return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from r2ag.encoder.probe import Probe
from r2ag.types import Document


@dataclass(frozen=True)
class Found:
    """Documents sorted by the finder's score, best first.

    scores: the finder's, of any scale. The adapter doesn't read them: scores that it was trained with as features go
    into `Document.scores`. vectors: float32, shape (k, dimension), made by the encoder that `encoder` identifies
    (`Probe.of(encoder)`); without both, the adapter's encoder encodes the documents at each question.
    """

    documents: tuple[Document, ...]
    scores: tuple[float, ...]
    vectors: np.ndarray | None = None
    encoder: Probe | None = None

    def __len__(self) -> int:
        return len(self.documents)


class Finder(Protocol):
    """Finds documents for a question. It does not own its store: close the store where it was opened.

    A Pipeline calls it from one thread at a time, the server from several.
    """

    def find(self, question: str, k: int, where: str | None = None) -> Found:
        """At most k documents, best first; fewer or none if no more match.

        Args:
            where: a condition that the documents must meet, as in r2ag.store.where; a finder that knows no conditions
                raises InputError for one.

        Raises:
            InputError: `where` can't be read, or there is nothing to search.
        """
