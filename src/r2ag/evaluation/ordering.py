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
    kept = _ranking(order)(ranked)
    kept = kept.reordered(list(range(len(kept)))[:k])
    return _shuffled(kept, seed) if order == "shuffled" else kept


def _ranking(order: Order) -> Ranking:
    if callable(order):
        return order
    if order not in ("encoder", "shuffled", "given"):
        raise InputError(f"There is no order {order!r}; choose encoder, shuffled or given.")
    return _as_given if order == "given" else rank_by_similarity


def _as_given(ranked: RankedList) -> RankedList:
    return ranked


def _shuffled(ranked: RankedList, seed: int) -> RankedList:
    """The seed and the question decide, so that a record is shuffled alike whatever it is evaluated with."""
    order = list(range(len(ranked)))
    random.Random(f"{seed}:{ranked.question}").shuffle(order)
    return ranked.reordered(order)
