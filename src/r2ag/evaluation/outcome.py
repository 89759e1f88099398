"""What an evaluation found, before any figure is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from r2ag.evaluation.methods import Prediction
from r2ag.types import RankedList, Record


@dataclass(frozen=True)
class Evaluation:
    """What was read and answered: `predictions[method][i]` is the answer to `records[i]` from `lists[i]`.

    `probabilities[i][j]` is how probably document j of list i is relevant, where the adapter has a head that says so.
    """

    records: tuple[Record, ...]
    lists: tuple[RankedList, ...]
    predictions: Mapping[str, tuple[Prediction, ...]]
    probabilities: tuple[tuple[float, ...], ...] | None = None
    k: int | None = None
    models: Mapping[str, str] = field(default_factory=dict)
