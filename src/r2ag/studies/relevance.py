"""Table 3 for the relevance alone: what each part is worth to the probability by which documents are left out.

The LLM reads nothing: an adapter's relevance is trained before its embeddings, in seconds, so that several seeds and
all records cost minutes where answers cost hours. What a part is worth to answers, the study ablation measures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from r2ag.errors import InputError
from r2ag.evaluation.intervals import Interval, grid_interval, paired_grid_interval
from r2ag.evaluation.ranking import score_rankings
from r2ag.evaluation.table import Table, with_interval
from r2ag.studies.ablation import FULL, Variant, variant
from r2ag.studies.base import Condition, Measure, Options, Plan, Row, Study, Titled, needs_training, training
from r2ag.studies.outcome import Outcome
from r2ag.studies.plots import Point, bar_plots
from r2ag.types import RankedList, Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from r2ag.pipeline import Pipeline

COLUMNS = {"map": "", "map_diff": "+", "map_diff_as_read": "+", "brier": "", "brier_diff": "+"}
"""Figures of a table with the signs that they are written with."""
PRECISION, RANKED, BRIER = "average_precision", "average_precision_as_read", "brier"


def _start(pipeline: Pipeline, records: Sequence[Record], lists: Sequence[RankedList]) -> Row:
    def measure(place: int) -> dict[str, Any] | None:
        relevant = [bool(document.relevant) for document in lists[place].documents]
        if not any(relevant):
            return None
        (probabilities,) = pipeline.reader.assess([lists[place]]).probabilities
        by_relevance = sorted(range(len(relevant)), key=lambda i: -probabilities[i])  # of equals the first stays first
        scores = score_rankings([[relevant[i] for i in by_relevance], relevant])
        brier = float(np.mean((np.array(probabilities) - np.array(relevant)) ** 2))
        return {PRECISION: scores[0].average_precision, RANKED: scores[1].average_precision, BRIER: brier}

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


def _values(outcome: Outcome, row: str, name: str, dataset: str | None) -> np.ndarray:
    """Of one row's lists that have something relevant, (seeds, lists)."""
    seeds = outcome.measured[row]
    return np.array([[line[name] for line in lines if dataset in (None, line["dataset"])] for lines in seeds])


def _datasets(outcome: Outcome) -> dict[str, str | None]:
    """Titles of tables and the data set that each is about, where it is one.

    Raises:
        InputError: no record has relevant documents.
    """
    lines = outcome.measured[FULL][0]
    if not lines:
        raise InputError("No record of --data has relevant documents; give records with relevance.")
    counts = {
        name: sum(line["dataset"] == name for line in lines) for name in {line["dataset"]: None for line in lines}
    }
    each: dict[str, str | None] = {f"{name} ({count} records)": name for name, count in counts.items()}
    return each if len(each) == 1 else {f"All records ({len(lines)} records)": None, **each}


def tables(outcome: Outcome) -> list[Titled]:
    """A table a data set."""
    return [Titled(title, _table(outcome, dataset)) for title, dataset in _datasets(outcome).items()]


def _table(outcome: Outcome, dataset: str | None) -> Table:
    head = ("variant", "MAP by relevance", f"− {FULL}", "− as read", "Brier score", f"− {FULL}")
    rows = []
    for row in outcome.measured:
        found = _figures(outcome, row, dataset)
        rows.append((row, *(_cell(found[name], sign) for name, sign in COLUMNS.items())))
    return Table(head, tuple(rows))


def _cell(interval: Interval | None, sign: str) -> str:
    return "" if interval is None else with_interval(interval.mean, interval.ends, sign)


def _figures(outcome: Outcome, row: str, dataset: str | None) -> dict[str, Interval | None]:
    """Means over seeds and lists, and differences to the whole R²-Former and to the order in which lists were read."""
    precision, ranked, brier = (_values(outcome, row, name, dataset) for name in (PRECISION, RANKED, BRIER))
    whole = {name: _values(outcome, FULL, name, dataset) for name in (PRECISION, BRIER)}
    is_whole = row == FULL
    return {
        "map": grid_interval(precision),
        "map_diff": None if is_whole else paired_grid_interval(precision, whole[PRECISION]),
        "map_diff_as_read": paired_grid_interval(precision, ranked),
        "brier": grid_interval(brier),
        "brier_diff": None if is_whole else paired_grid_interval(brier, whole[BRIER]),
    }


def figures(outcome: Outcome) -> Mapping[str, Any]:
    """The tables' figures by title and variant, with the ends of their intervals."""
    return {
        f"relevance, {title}": {row: _with_ends(_figures(outcome, row, dataset)) for row in outcome.measured}
        for title, dataset in _datasets(outcome).items()
    }


def _with_ends(intervals: Mapping[str, Interval | None]) -> dict[str, Any]:
    known = {name: one for name, one in intervals.items() if one is not None}
    return {name: one.mean for name, one in known.items()} | {f"{name}_ci95": one.ends for name, one in known.items()}


def plots(outcome: Outcome) -> dict[str, Figure]:
    """Every variant's MAP."""
    panels = {
        title: [Point(row, grid_interval(_values(outcome, row, PRECISION, dataset))) for row in outcome.measured]
        for title, dataset in _datasets(outcome).items()
    }
    return {"map": bar_plots(panels, "MAP of the documents by relevance")}


STUDY = Study("What each part is worth to the relevance", "variant", plan, tables, plots, figures)
