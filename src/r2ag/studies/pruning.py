"""Pruning: Acc against prompt tokens when documents are left out by relevance, by rank, or by cosine.

At equal tokens a method is compared with the mixture of two neighbours of another family that costs as much: who
answers each question by the one or the other, by lot, pays those tokens and is right that often.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from r2ag.evaluation.intervals import Interval, paired_grid_interval
from r2ag.evaluation.methods import Spec
from r2ag.evaluation.table import Table, with_interval
from r2ag.studies.base import Condition, Options, Plan
from r2ag.studies.outcome import Outcome
from r2ag.studies.plots import SCORES_IN_WORDS, Point, line_plots
from r2ag.studies.study import Study, Titled
from r2ag.studies.tables import Column, answer_tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROW = "all candidates"
FAMILIES = {
    "rag-topn": "plain RAG, top n",
    "cutoff": "plain RAG, cosine",
    "r2ag+prune": "R²AG, by probability",
    "r2ag+top": "R²AG, most probable n",
}
PLAIN, OURS = ("rag-topn", "cutoff"), ("r2ag+prune", "r2ag+top")
WHOLE = {"rag-topn": "rag", "cutoff": "rag", "r2ag+prune": "r2ag", "r2ag+top": "r2ag"}


def plan(options: Options) -> Plan:
    """All methods on all candidates."""
    methods = options.methods or ("rag", "r2ag", *options.over)
    return Plan((Condition(ROW, methods, options.adapter, k=options.k, seed=options.seed),), (), (ROW, "rag"))


@dataclass(frozen=True)
class Equal:
    """A method of ours minus a family of plain RAG at the same mean prompt tokens.

    `share` is of plain RAG's tokens on all documents, None where that was not asked for.
    """

    method: str
    family: str
    tokens: float
    share: float | None
    acc: Interval
    f1: Interval


def at_equal_tokens(outcome: Outcome, columns: np.ndarray) -> list[Equal]:
    """Every method of ours against every family that has a method."""
    methods = {name: _cut(values, columns) for name, values in outcome.rows[ROW].items()}
    tokens = {name: float(values["prompt_tokens"].mean()) for name, values in methods.items()}
    found = []
    for name in methods:
        if Spec.parse(name).base not in (*OURS, "r2ag"):
            continue
        for family in PLAIN:
            rivals = sorted(_family(methods, family), key=lambda rival: tokens[rival])
            if not rivals or rivals == ["rag"]:
                continue
            low, high, weight = _neighbours([tokens[rival] for rival in rivals], tokens[name])
            pair = methods[rivals[low]], methods[rivals[high]]
            differences = [
                paired_grid_interval(methods[name][score], (1 - weight) * pair[0][score] + weight * pair[1][score])
                for score in ("acc", "f1")
            ]
            share = tokens[name] / tokens["rag"] if "rag" in tokens else None
            found.append(Equal(name, family, tokens[name], share, *differences))
    return found


def _cut(values: Mapping[str, np.ndarray], columns: np.ndarray) -> dict[str, np.ndarray]:
    return {score: values[score][:, columns] for score in ("acc", "f1", "prompt_tokens")}


def _family(methods: Mapping[str, Any], family: str) -> list[str]:
    """Its methods, with the one that reads all."""
    return [name for name in methods if Spec.parse(name).base == family or name == WHOLE[family]]


def _neighbours(costs: Sequence[float], wanted: float) -> tuple[int, int, float]:
    """Places of the two of rising costs around `wanted`, and the share of the second; the nearest end beyond them."""
    high = int(np.searchsorted(costs, wanted))
    if high in (0, len(costs)):
        end = min(high, len(costs) - 1)
        return end, end, 0.0
    low = high - 1
    return low, high, (wanted - costs[low]) / (costs[high] - costs[low])


def tables(outcome: Outcome) -> list[Titled]:
    """A table a data set, and the comparison at equal tokens."""
    datasets = outcome.datasets()

    def share(row: str, method: str, title: str) -> str:
        if "rag" not in outcome.rows[row]:
            return ""
        own, whole = (outcome.mean(row, name, "prompt_tokens", datasets[title]) for name in (method, "rag"))
        return f"{own / whole:.2f}"

    compared = [
        Titled(f"{title}: at equal prompt tokens ({len(columns)} records)", _equal_table(outcome, columns))
        for title, columns in datasets.items()
    ]
    return [*answer_tables(outcome, "lists", Column("share of plain RAG's tokens", share)), *compared]


def _equal_table(outcome: Outcome, columns: np.ndarray) -> Table:
    rows = tuple(
        (
            one.method,
            FAMILIES[one.family],
            f"{one.tokens:.0f}",
            "" if one.share is None else f"{one.share:.2f}",
            with_interval(one.acc.mean, one.acc.ends, "+"),
            with_interval(one.f1.mean, one.f1.ends, "+"),
        )
        for one in at_equal_tokens(outcome, columns)
    )
    return Table(("method", "minus", "prompt tokens", "share of plain RAG's", "Acc", "F1"), rows)


def plots(outcome: Outcome) -> dict[str, Figure]:
    """Acc and F1 against prompt tokens, a curve a family up to the method that reads all."""
    return {score: _curves(outcome, score) for score in ("acc", "f1")}


def _curves(outcome: Outcome, score: str) -> Figure:
    panels = {}
    for title, columns in outcome.datasets().items():
        series = {}
        for family, words in FAMILIES.items():
            names = _family(outcome.rows[ROW], family)
            points = [
                Point(outcome.mean(ROW, n, "prompt_tokens", columns), outcome.interval(ROW, n, score, columns))
                for n in names
            ]
            if points:
                series[words] = sorted(points, key=lambda point: float(point.x))
        panels[f"{title} ({len(columns)} records)"] = series
    return line_plots(panels, "prompt tokens, mean", SCORES_IN_WORDS[score])


def figures(outcome: Outcome) -> dict[str, Any]:
    """The comparison at equal tokens."""
    return {
        "at_equal_tokens": {
            title: [
                {"method": one.method, "minus": one.family, "prompt_tokens": one.tokens, "share": one.share}
                | {"acc_diff": one.acc.mean, "acc_diff_ci95": one.acc.ends}
                | {"f1_diff": one.f1.mean, "f1_diff_ci95": one.f1.ends}
                for one in at_equal_tokens(outcome, columns)
            ]
            for title, columns in outcome.datasets().items()
        }
    }


STUDY = Study("Acc against prompt tokens", "lists", plan, tables, plots, figures)
