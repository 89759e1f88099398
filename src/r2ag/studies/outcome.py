"""What a study found, record by record and seed by seed, and the figures that are computed from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from r2ag.evaluation.intervals import Interval, grid_interval, paired_grid_interval
from r2ag.evaluation.methods import Prediction
from r2ag.evaluation.metrics import answer_words, score
from r2ag.studies.base import Line, Options, Plan
from r2ag.types import Record

SCORES = ("acc", "acc_word", "em", "f1", "rouge_l")
COSTS = ("prompt_tokens", "documents_read", "seconds", "abstained", "answer_words")

Values = Mapping[str, np.ndarray]
"""SCORES and COSTS of one method in one row, each of shape (seeds, records)."""
T = TypeVar("T")


@dataclass(frozen=True)
class Outcome:
    """Everything that was measured; the arrays' columns are `records`.

    `rows[row][method]` are answers, `ranking[row]` average precisions (NaN where nothing is relevant), and
    `measured[row][seed]` a Measure's lines, None where there was nothing to measure.
    """

    options: Options
    plan: Plan
    records: tuple[Record, ...]
    rows: Mapping[str, Mapping[str, Values]]
    ranking: Mapping[str, np.ndarray]
    measured: Mapping[str, Sequence[Sequence[Line | None]]]
    models: Mapping[str, str]

    def datasets(self, columns: Sequence[int] | None = None) -> dict[str, np.ndarray]:
        """Columns by title: all of them where they are of several data sets, and those of each."""
        columns = range(len(self.records)) if columns is None else columns
        each: dict[str, list[int]] = {}
        for column in columns:
            each.setdefault(self.records[column].dataset, []).append(column)
        titled = each if len(each) == 1 else {"All records": list(columns), **each}
        return {title: np.array(some) for title, some in titled.items()}

    def by_dataset(self, make: Callable[[np.ndarray], T]) -> dict[str, T]:
        """What is made of each data set's columns, by a title that counts the records."""
        return {counted(title, len(columns)): make(columns) for title, columns in self.datasets().items()}

    def values(self, row: str, method: str, name: str, columns: np.ndarray | None = None) -> np.ndarray:
        """One of SCORES or COSTS, (seeds, columns)."""
        values = self.rows[row][method][name]
        return values if columns is None else values[:, columns]

    def interval(self, row: str, method: str, name: str, columns: np.ndarray | None = None) -> Interval:
        """A mean over seeds and records with its 95 % interval."""
        return grid_interval(self.values(row, method, name, columns))

    def mean(self, row: str, method: str, name: str, columns: np.ndarray | None = None) -> float:
        """A mean over seeds and records."""
        return float(self.values(row, method, name, columns).mean())

    def difference(
        self, one: tuple[str, str], other: tuple[str, str], name: str, columns: np.ndarray | None = None
    ) -> Interval:
        """Row and method minus another row and method, paired by record."""
        return paired_grid_interval(self.values(*one, name, columns), self.values(*other, name, columns))

    def measurements(self, row: str, name: str, columns: np.ndarray) -> np.ndarray:
        """What was measured of one row's lists, (seeds, columns); NaN where there was nothing to measure."""
        found = [[np.nan if line is None else line[name] for line in lines] for lines in self.measured[row]]
        return np.array(found)[:, columns]

    @property
    def compared(self) -> tuple[str, str] | None:
        """The plan's reference, or the first method where the user left out the reference's."""
        if self.plan.reference is None:
            return None
        row, method = self.plan.reference
        asked = self.rows.get(row) or next(iter(self.rows.values()), {})
        return row, method if method in asked else next(iter(asked), method)

    def reference(self, row: str, method: str) -> tuple[str, str] | None:
        """What a row's method is compared with; None where that is itself or isn't there."""
        if self.compared is None:
            return None
        other = self.compared[0] or row, self.compared[1]
        return None if other == (row, method) or other[1] not in self.rows.get(other[0], {}) else other

    def map(self, row: str, columns: np.ndarray) -> Interval | None:
        """Mean average precision of a row's lists, over the records that have something relevant."""
        values = self.ranking[row][:, columns]
        known = ~np.isnan(values).any(axis=0)
        return grid_interval(values[:, known]) if known.any() else None


def counted(title: str, records: int) -> str:
    """A title that tells how many records it is of."""
    return f"{title} ({records} records)"


def values_of(predictions: Sequence[Prediction], records: Sequence[Record]) -> dict[str, np.ndarray]:
    """SCORES and COSTS of a method's answers, each of shape (records,)."""
    scores = [score(p.text, record.answers) for p, record in zip(predictions, records, strict=True)]
    values = {name: np.array([getattr(one, name) for one in scores], dtype=np.float64) for name in SCORES}
    costs = {name: [getattr(p, name) for p in predictions] for name in COSTS if name != "answer_words"}
    costs["answer_words"] = [answer_words(p.text) for p in predictions]
    return values | {name: np.array(column, dtype=np.float64) for name, column in costs.items()}


def with_ends(intervals: Mapping[str, Interval | None]) -> dict[str, Any]:
    """Means under their names, and ends under NAME_ci95; None stays None."""
    found: dict[str, Any] = {}
    for name, one in intervals.items():
        found |= {name: one and one.mean, f"{name}_ci95": one and one.ends}
    return found


def answer_figures(outcome: Outcome) -> dict[str, Any]:
    """All figures of a study's answers as one JSON object, pooled and for each data set."""
    return {title: _figures(outcome, columns) for title, columns in outcome.datasets().items()}


def _figures(outcome: Outcome, columns: np.ndarray) -> dict[str, Any]:
    rows = {
        row: {
            "seeds": len(ranking),
            **with_ends({"map": outcome.map(row, columns)}),
            "methods": {method: _method(outcome, row, method, columns) for method in outcome.rows[row]},
        }
        for row, ranking in outcome.ranking.items()
    }
    return {"records": len(columns), "rows": rows}


def _method(outcome: Outcome, row: str, method: str, columns: np.ndarray) -> dict[str, Any]:
    found = with_ends({name: outcome.interval(row, method, name, columns) for name in SCORES})
    found |= {f"{name}_mean": outcome.mean(row, method, name, columns) for name in COSTS}
    if (other := outcome.reference(row, method)) is not None:
        found["compared_with"] = list(other)
        scores = ("acc", "f1")
        found |= with_ends({f"{s}_diff": outcome.difference((row, method), other, s, columns) for s in scores})
    return found
