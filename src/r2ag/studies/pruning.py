"""Pruning: Acc against prompt tokens when documents are left out by relevance, by rank, or by cosine.

At equal tokens a method is compared with a mixture of two neighbours of another family that costs as much: answering
each question by the one or the other, by lot, takes those tokens and is right that often.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from r2ag.evaluation.intervals import Interval, paired_grid_interval
from r2ag.evaluation.methods import Spec
from r2ag.evaluation.table import Table
from r2ag.studies.base import Options, Plan
from r2ag.studies.outcome import Outcome, counted, with_ends
from r2ag.studies.plots import SCORES, Plots, Point, Series, line_plots
from r2ag.studies.study import Study, Titled
from r2ag.studies.tables import Column, answer_tables, cell

ROW = "all candidates"
FAMILIES = {
    "rag-topn": "plain RAG, top n",
    "cutoff": "plain RAG, cosine",
    "r2ag+prune": "R²AG, by probability",
    "r2ag+top": "R²AG, most probable n",
}
PLAIN, OURS = ("rag-topn", "cutoff"), ("r2ag+prune", "r2ag+top")
WHOLE = dict.fromkeys(PLAIN, "rag") | dict.fromkeys(OURS, "r2ag")


def plan(options: Options) -> Plan:
    """All methods on all candidates."""
    return Plan((options.condition(ROW, ("rag", "r2ag", *options.over)),), (), (ROW, "rag"))


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
    methods = outcome.rows[ROW]
    tokens = {name: outcome.mean(ROW, name, "prompt_tokens", columns) for name in methods}
    found = []
    for name in methods:
        if Spec.parse(name).base not in (*OURS, "r2ag"):
            continue
        for family in PLAIN:
            rivals = sorted(_family(methods, family), key=lambda rival: tokens[rival])
            if not rivals or rivals == ["rag"]:
                continue
            low, high, weight = _neighbours([tokens[rival] for rival in rivals], tokens[name])
            differences = []
            for score in ("acc", "f1"):
                own, one, other = (outcome.values(ROW, m, score, columns) for m in (name, rivals[low], rivals[high]))
                differences.append(paired_grid_interval(own, (1 - weight) * one + weight * other))
            share = tokens[name] / tokens["rag"] if "rag" in tokens else None
            found.append(Equal(name, family, tokens[name], share, *differences))
    return found


def _family(methods: Iterable[str], family: str) -> list[str]:
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


def _share(outcome: Outcome, row: str, method: str, title: str) -> str:
    if "rag" not in outcome.rows[row]:
        return ""
    columns = outcome.datasets()[title]
    own, whole = (outcome.mean(row, name, "prompt_tokens", columns) for name in (method, "rag"))
    return f"{own / whole:.2f}"


def tables(outcome: Outcome) -> list[Titled]:
    """The comparison at equal tokens, a table a data set."""
    return [
        Titled(counted(f"{title}: at equal prompt tokens", len(columns)), _equal_table(outcome, columns))
        for title, columns in outcome.datasets().items()
    ]


def _equal_table(outcome: Outcome, columns: np.ndarray) -> Table:
    rows = tuple(
        (
            one.method,
            FAMILIES[one.family],
            f"{one.tokens:.0f}",
            "" if one.share is None else f"{one.share:.2f}",
            cell(one.acc, "+"),
            cell(one.f1, "+"),
        )
        for one in at_equal_tokens(outcome, columns)
    )
    return Table(("method", "minus", "prompt tokens", "share of plain RAG's", "Acc", "F1"), rows)


def figures(outcome: Outcome) -> dict[str, Any]:
    """The comparison at equal tokens."""
    return {
        "at_equal_tokens": {
            title: [
                {"method": one.method, "minus": one.family, "prompt_tokens": one.tokens, "share": one.share}
                | with_ends({"acc_diff": one.acc, "f1_diff": one.f1})
                for one in at_equal_tokens(outcome, columns)
            ]
            for title, columns in outcome.datasets().items()
        }
    }


def plots(outcome: Outcome) -> Plots:
    """Acc and F1 against prompt tokens, a curve a family up to the method that reads all."""

    def curves(score: str, columns: np.ndarray) -> Series:
        series = {
            words: [
                Point(outcome.mean(ROW, n, "prompt_tokens", columns), outcome.interval(ROW, n, score, columns))
                for n in _family(outcome.rows[ROW], family)
            ]
            for family, words in FAMILIES.items()
        }
        return {words: sorted(points, key=lambda point: float(point.x)) for words, points in series.items() if points}

    return {
        score: line_plots(outcome.by_dataset(partial(curves, score)), "prompt tokens, mean", label)
        for score, label in SCORES.items()
    }


STUDY = Study(
    "pruning",
    "Acc against prompt tokens",
    plan,
    tables=(answer_tables("lists", Column("share of plain RAG's tokens", _share)), tables),
    plots=(plots,),
    figures=figures,
)
