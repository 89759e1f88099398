"""Table 3 for the relevance alone: what each part is worth to the probability by which documents are left out.

The LLM reads nothing: an adapter's relevance is trained before its embeddings, in seconds, so that several seeds and
all records cost minutes where answers cost hours, once the encoder's vectors are there. The study ablation measures
what a part is worth to answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from r2ag.errors import InputError
from r2ag.evaluation.intervals import Interval, grid_interval, paired_grid_interval
from r2ag.evaluation.ranking import average_precisions
from r2ag.evaluation.run import relevance_probabilities
from r2ag.evaluation.table import Table
from r2ag.pipeline import Pipeline
from r2ag.studies.ablation import FULL, Variant, variant, variants
from r2ag.studies.base import Condition, Line, Measure, Options, Plan, Step
from r2ag.studies.outcome import Outcome, counted, with_ends
from r2ag.studies.plots import Plots, Point, bar_plots
from r2ag.studies.study import Study, Titled
from r2ag.studies.tables import cell
from r2ag.types import RankedList, Record

COLUMNS = {
    "map": "MAP by relevance",
    "map_diff": f"− {FULL}",
    "map_diff_as_read": "− as read",
    "brier": "Brier score",
    "brier_diff": f"− {FULL}",
}
PRECISION, BRIER = "average_precision", "brier"


def _assess(pipeline: Pipeline, records: Sequence[Record], lists: Sequence[RankedList]) -> Iterator[Line | None]:
    """Lines of the lists that have relevant documents."""
    for record, ranked, row in zip(records, lists, relevance_probabilities(pipeline.reader, lists) or (), strict=True):
        by_relevance = ranked.reordered(np.argsort([-p for p in row], kind="stable").tolist())
        (precision,) = average_precisions([record], [by_relevance])
        relevant = [bool(document.relevant) for document in ranked.documents]
        brier = float(np.mean((np.array(row) - relevant) ** 2))
        yield None if np.isnan(precision) else {PRECISION: float(precision), BRIER: brier}


def plan(options: Options) -> Plan:
    """An adapter a variant and seed, without the LLM's stage.

    Raises:
        InputError: L_QDM, which is all that is trained here, is to be left out.
    """
    if "matching" in options.over:
        raise InputError("Without L_QDM there is no relevance to measure; leave matching out of --over.")
    return Plan.of(_planned(options), None)


def _planned(options: Options) -> Iterator[tuple[Condition, list[Step]]]:
    measure = Measure("relevance", _assess)
    for one, seed, step in variants(options, _variant, "--epochs", "0"):
        more: dict[str, Any] = {"preparation": one.preparation, "seed": seed, "measure": measure}
        yield options.condition(one.row, (), str(step.folder), **more), [step]


def _variant(part: str) -> Variant:
    """As an ablation's, or records:N for a number of training records."""
    name, _, count = part.partition(":")
    if name != "records":
        return variant(part)
    if not count.isdecimal() or int(count) < 1:
        raise InputError(f"--over is {part!r} here; give a number of training records, as in records:200.")
    return Variant(f"{count} records", ("--limit", count))


def _datasets(outcome: Outcome) -> dict[str, np.ndarray]:
    """As Outcome.datasets, of the records that have relevant documents.

    Raises:
        InputError: none has.
    """
    known = ~np.isnan(outcome.ranking[FULL][0])
    datasets = {title: columns[known[columns]] for title, columns in outcome.datasets().items()}
    datasets = {title: columns for title, columns in datasets.items() if len(columns)}
    if not datasets:
        raise InputError("No record of --data has relevant documents; give records with relevance.")
    return datasets


def _intervals(outcome: Outcome, row: str, columns: np.ndarray) -> dict[str, Interval]:
    """Means over seeds and lists, and differences to the whole R²-Former and to the order in which lists were read."""
    precision, brier = (outcome.measurements(row, name, columns) for name in (PRECISION, BRIER))
    found = {"map": grid_interval(precision)}
    if row != FULL:
        found["map_diff"] = paired_grid_interval(precision, outcome.measurements(FULL, PRECISION, columns))
    found["map_diff_as_read"] = paired_grid_interval(precision, outcome.ranking[row][:, columns])
    found["brier"] = grid_interval(brier)
    if row != FULL:
        found["brier_diff"] = paired_grid_interval(brier, outcome.measurements(FULL, BRIER, columns))
    return found


def tables(outcome: Outcome) -> list[Titled]:
    """A table a data set."""
    made = []
    for title, columns in _datasets(outcome).items():
        found = {row: _intervals(outcome, row, columns) for row in outcome.measured}
        rows = tuple(
            (row, *(cell(one.get(name), "+" if "diff" in name else "") for name in COLUMNS))
            for row, one in found.items()
        )
        made.append(Titled(counted(title, len(columns)), Table(("variant", *COLUMNS.values()), rows)))
    return made


def figures(outcome: Outcome) -> Mapping[str, Any]:
    """The tables' figures by title and variant, with the ends of their intervals."""
    return {
        f"relevance, {title}": {
            "records": len(columns),
            "rows": {row: with_ends(_intervals(outcome, row, columns)) for row in outcome.measured},
        }
        for title, columns in _datasets(outcome).items()
    }


def plots(outcome: Outcome) -> Plots:
    """Every variant's MAP."""
    panels = {
        counted(title, len(columns)): [
            Point(row, grid_interval(outcome.measurements(row, PRECISION, columns))) for row in outcome.measured
        ]
        for title, columns in _datasets(outcome).items()
    }
    return {"map": bar_plots(panels, "MAP of the documents by relevance")}


STUDY = Study(
    "relevance",
    "What each part is worth to the relevance",
    plan,
    tables=(tables,),
    plots=(plots,),
    figures=figures,
    trains=True,
    answers=False,
)
