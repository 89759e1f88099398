"""What a study found, record by record and seed by seed, and the figures that come of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from r2ag.evaluation.intervals import Interval, grid_interval, paired_grid_interval
from r2ag.evaluation.methods import Prediction
from r2ag.evaluation.metrics import answer_words, score
from r2ag.studies.base import Options, Plan
from r2ag.types import Record

SCORES = ("acc", "acc_word", "em", "f1", "rouge_l")
COSTS = ("prompt_tokens", "documents_read", "seconds", "abstained", "answer_words")

Values = Mapping[str, np.ndarray]
"""SCORES and COSTS of one method in one row, each of shape (seeds, records)."""


@dataclass(frozen=True)
class Outcome:
    """Everything that was measured; the arrays' columns are `records`.

    `rows[row][method]` are answers, `ranking[row]` average precisions (NaN where nothing is relevant), and
    `measured[row]` what a Measure said of each list, by seed.
    """

    options: Options
    plan: Plan
    records: tuple[Record, ...]
    rows: Mapping[str, Mapping[str, Values]]
    ranking: Mapping[str, np.ndarray]
    measured: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]]
    models: Mapping[str, str]

    def datasets(self) -> dict[str, np.ndarray]:
        """Columns by title: all records where there are several data sets, and each of these."""
        names = list(dict.fromkeys(record.dataset for record in self.records))
        each = {name: np.array([i for i, r in enumerate(self.records) if r.dataset == name]) for name in names}
        return each if len(each) == 1 else {"All records": np.arange(len(self.records)), **each}

    def interval(self, row: str, method: str, name: str, columns: np.ndarray | None = None) -> Interval:
        """A mean over seeds and records with its 95 % interval."""
        values = self.rows[row][method][name]
        return grid_interval(values if columns is None else values[:, columns])

    def mean(self, row: str, method: str, name: str, columns: np.ndarray | None = None) -> float:
        """A mean over seeds and records."""
        values = self.rows[row][method][name]
        return float((values if columns is None else values[:, columns]).mean())

    def difference(
        self, one: tuple[str, str], other: tuple[str, str], name: str, columns: np.ndarray | None = None
    ) -> Interval:
        """Row and method minus another row and method, paired by record."""
        first, second = (self.rows[row][method][name] for row, method in (one, other))
        if columns is not None:
            first, second = first[:, columns], second[:, columns]
        return paired_grid_interval(first, second)

    @property
    def compared(self) -> tuple[str, str] | None:
        """The plan's reference; a method that was not asked for gives way to the first one that was."""
        if self.plan.reference is None:
            return None
        row, method = self.plan.reference
        asked = self.rows.get(row) or next(iter(self.rows.values()), {})
        return row, method if method in asked else next(iter(asked), method)

    def reference(self, row: str, method: str) -> tuple[str, str] | None:
        """What a row's method is compared with; nothing where that is itself or isn't there."""
        if self.compared is None:
            return None
        other = self.compared[0] or row, self.compared[1]
        return None if other == (row, method) or other[1] not in self.rows.get(other[0], {}) else other

    def map(self, row: str, columns: np.ndarray) -> Interval | None:
        """Mean average precision of a row's lists, over the records that have something relevant."""
        values = self.ranking[row][:, columns]
        known = ~np.isnan(values).any(axis=0)
        return grid_interval(values[:, known]) if known.any() else None


def values_of(predictions: Sequence[Prediction], records: Sequence[Record]) -> dict[str, np.ndarray]:
    """SCORES and COSTS of a method's answers, each of shape (records,)."""
    scores = [score(p.text, record.answers) for p, record in zip(predictions, records, strict=True)]
    values = {name: np.array([getattr(one, name) for one in scores], dtype=np.float64) for name in SCORES}
    costs = {name: [getattr(p, name) for p in predictions] for name in COSTS if name != "answer_words"}
    costs["answer_words"] = [answer_words(p.text) for p in predictions]
    return values | {name: np.array(column, dtype=np.float64) for name, column in costs.items()}


def figures(outcome: Outcome) -> dict[str, Any]:
    """All figures of a study's answers as one JSON object, pooled and for each data set."""
    return {title: _figures(outcome, columns) for title, columns in outcome.datasets().items()}


def _figures(outcome: Outcome, columns: np.ndarray) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for row in outcome.ranking:
        ranking = outcome.map(row, columns)
        methods = {method: _method(outcome, row, method, columns) for method in outcome.rows[row]}
        rows[row] = {
            "seeds": len(outcome.ranking[row]),
            "map": None if ranking is None else ranking.mean,
            "map_ci95": None if ranking is None else ranking.ends,
            "methods": methods,
        }
    return {"records": len(columns), "rows": rows}


def _method(outcome: Outcome, row: str, method: str, columns: np.ndarray) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in SCORES:
        interval = outcome.interval(row, method, name, columns)
        found |= {name: interval.mean, f"{name}_ci95": interval.ends}
    for name in COSTS:
        found[f"{name}_mean"] = outcome.mean(row, method, name, columns)
    if (other := outcome.reference(row, method)) is not None:
        found["compared_with"] = list(other)
        for name in ("acc", "f1"):
            difference = outcome.difference((row, method), other, name, columns)
            found |= {f"{name}_diff": difference.mean, f"{name}_diff_ci95": difference.ends}
    return found
