"""In which order the documents of a question are read, and how many of them."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Literal

from r2ag.encoder.encoder import rank_by_similarity
from r2ag.errors import InputError
from r2ag.types import RankedList

Ranking = Callable[[RankedList], RankedList]
Order = Literal["encoder", "shuffled", "given"] | Ranking
"""By the encoder's similarity; the same shuffled; as the records have it (some data sets put the gold document first);
or by a ranking of one's own."""


def arrange(ranked: RankedList, order: Order, k: int | None = None, seed: int = 0) -> RankedList:
    """The list in its order, cut to its first `k`; shuffling comes after the cut, so that the best k stay.

    Raises:
        InputError: the order is unknown, or k is less than 1.
    """
    if k is not None and k < 1:
        raise InputError(f"k is {k}; give a number of documents from 1.")
    if not callable(order) and order not in ("encoder", "shuffled", "given"):
        raise InputError(f"There is no order {order!r}; choose encoder, shuffled or given.")
    if callable(order):
        ranked = order(ranked)
    elif order != "given":
        ranked = rank_by_similarity(ranked)
    kept = list(range(len(ranked)))[:k]
    if order == "shuffled":
        # The seed and the question decide, so that a record is shuffled alike whatever it is evaluated with.
        random.Random(f"{seed}:{ranked.question}").shuffle(kept)
    return ranked.reordered(kept)
