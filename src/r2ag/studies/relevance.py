"""Table 3 for the relevance alone: what each part is worth to the probability by which documents are left out.

The LLM reads nothing: an adapter's relevance is trained before its embeddings, in seconds, so that several seeds and
all records cost minutes where answers cost hours, once the encoder's vectors are there. What a part is worth to
answers, the study ablation measures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from r2ag.errors import InputError
from r2ag.evaluation.intervals import Interval, grid_interval, paired_grid_interval
from r2ag.evaluation.ranking import average_precisions
from r2ag.evaluation.table import Table, with_interval
from r2ag.studies.ablation import FULL, Variant, variant
from r2ag.studies.base import Condition, Measure, Options, Plan, Row, needs_training, training
from r2ag.studies.outcome import Outcome
from r2ag.studies.plots import Point, bar_plots
from r2ag.studies.study import Study, Titled
from r2ag.types import RankedList, Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from r2ag.pipeline import Pipeline

COLUMNS = {"map": "", "map_diff": "+", "map_diff_as_read": "+", "brier": "", "brier_diff": "+"}
"""Figures of a table with the signs that they are written with."""
PRECISION, BRIER = "average_precision", "brier"
LISTS_AT_ONCE = 64


def _start(pipeline: Pipeline, records: Sequence[Record], lists: Sequence[RankedList]) -> Row:
    probabilities = [
        row
        for start in range(0, len(lists), LISTS_AT_ONCE)
        for row in pipeline.reader.assess(lists[start : start + LISTS_AT_ONCE]).probabilities
    ]
    by_relevance = [
        ranked.reordered(np.argsort([-p for p in row], kind="stable").tolist())
        for ranked, row in zip(lists, probabilities, strict=True)
    ]
    precisions = average_precisions(records, by_relevance)

    def measure(place: int) -> dict[str, Any] | None:
        if np.isnan(precisions[place]):
            return None
        relevant = [bool(document.relevant) for document in lists[place].documents]
        brier = float(np.mean((np.array(probabilities[place]) - relevant) ** 2))
        return {PRECISION: float(precisions[place]), BRIER: brier}

    return measure


def plan(options: Options) -> Plan:
    """An adapter a variant and seed, whose LLM stage is left out.

    Raises:
        InputError: methods are named, or L_QDM, which is all that is trained here, is to be left out.
    """
    needs_training(options, "relevance")
    if options.methods:
        raise InputError("The study relevance answers nothing; leave out --methods.")
    if "matching" in options.over:
        raise InputError("Without L_QDM there is no relevance to measure; leave matching out of --over.")
    measure = Measure("relevance", _start)
    conditions, steps = [], []
    for one in (Variant(FULL), *map(_variant, options.over)):
        for seed in options.all_seeds:
            step = training(options, one.row, seed, *one.changes, "--epochs", "0", scores=one.scores)
            steps.append(step)
            folder = str(step.folder)
            conditions.append(Condition(one.row, (), folder, one.preparation, k=options.k, seed=seed, measure=measure))
    return Plan(tuple(conditions), tuple(steps))


def _variant(part: str) -> Variant:
    """What --over names: an ablation's part, or records:N for training records of that number."""
    name, _, count = part.partition(":")
    if name != "records":
        return variant(part)
    if not count.isdecimal() or int(count) < 1:
        raise InputError(f"--over is {part!r} here; give a number of training records, as in records:200.")
    return Variant(f"{count} records", ("--limit", count))


def tables(outcome: Outcome) -> list[Titled]:
    """A table a data set."""
    return [
        Titled(f"{title} ({len(columns)} records)", _table(outcome, columns)) for title, columns in _datasets(outcome)
    ]


def _datasets(outcome: Outcome) -> list[tuple[str, np.ndarray]]:
    """As Outcome.datasets, of the records that have relevant documents.

    Raises:
        InputError: none has.
    """
    known = ~np.isnan(outcome.ranking[FULL][0])
    datasets = [(title, columns[known[columns]]) for title, columns in outcome.datasets().items()]
    datasets = [(title, columns) for title, columns in datasets if len(columns)]
    if not datasets:
        raise InputError("No record of --data has relevant documents; give records with relevance.")
    return datasets


def _values(outcome: Outcome, row: str, name: str, columns: np.ndarray) -> np.ndarray:
    """What was measured of one row's lists, (seeds, columns); only records with relevant documents were."""
    places = np.cumsum(~np.isnan(outcome.ranking[row][0])) - 1
    return np.array([[line[name] for line in lines] for lines in outcome.measured[row]])[:, places[columns]]


def _table(outcome: Outcome, columns: np.ndarray) -> Table:
    head = ("variant", "MAP by relevance", f"− {FULL}", "− as read", "Brier score", f"− {FULL}")
    rows = []
    for row in outcome.measured:
        found = _figures(outcome, row, columns)
        rows.append((row, *(_cell(found[name], sign) for name, sign in COLUMNS.items())))
    return Table(head, tuple(rows))


def _cell(interval: Interval | None, sign: str) -> str:
    return "" if interval is None else with_interval(interval.mean, interval.ends, sign)


def _figures(outcome: Outcome, row: str, columns: np.ndarray) -> dict[str, Interval | None]:
    """Means over seeds and lists, and differences to the whole R²-Former and to the order in which lists were read."""
    precision, brier = (_values(outcome, row, name, columns) for name in (PRECISION, BRIER))
    whole = {name: _values(outcome, FULL, name, columns) for name in (PRECISION, BRIER)}
    is_whole = row == FULL
    return {
        "map": grid_interval(precision),
        "map_diff": None if is_whole else paired_grid_interval(precision, whole[PRECISION]),
        "map_diff_as_read": paired_grid_interval(precision, outcome.ranking[row][:, columns]),
        "brier": grid_interval(brier),
        "brier_diff": None if is_whole else paired_grid_interval(brier, whole[BRIER]),
    }


def figures(outcome: Outcome) -> Mapping[str, Any]:
    """The tables' figures by title and variant, with the ends of their intervals."""
    return {
        f"relevance, {title}": {
            "records": len(columns),
            "rows": {row: _with_ends(_figures(outcome, row, columns)) for row in outcome.measured},
        }
        for title, columns in _datasets(outcome)
    }


def _with_ends(intervals: Mapping[str, Interval | None]) -> dict[str, Any]:
    known = {name: one for name, one in intervals.items() if one is not None}
    return {name: one.mean for name, one in known.items()} | {f"{name}_ci95": one.ends for name, one in known.items()}


def plots(outcome: Outcome) -> dict[str, Figure]:
    """Every variant's MAP."""
    panels = {
        f"{title} ({len(columns)} records)": [
            Point(row, grid_interval(_values(outcome, row, PRECISION, columns))) for row in outcome.measured
        ]
        for title, columns in _datasets(outcome)
    }
    return {"map": bar_plots(panels, "MAP of the documents by relevance")}


STUDY = Study("What each part is worth to the relevance", "variant", plan, tables, plots, figures)
