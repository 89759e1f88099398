"""Calibration: whether probabilities mean what they say, and tell when nothing relevant is there.

Each record is assessed three times: its list as it is, without its relevant documents, and with another data set's
documents. The head has to beat the highest cosine, which needs no training.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from r2ag.errors import InputError
from r2ag.evaluation.intervals import Interval, drawn_counts
from r2ag.evaluation.methods.rag import cosines
from r2ag.evaluation.table import Table
from r2ag.evaluation.trust import BINS, Lists, Said, areas, brier_skill, calibration_error, over_records, three_lists
from r2ag.pipeline import Pipeline
from r2ag.studies.base import Line, Measure, Options, Plan
from r2ag.studies.outcome import Outcome, counted
from r2ag.studies.plots import Plots, Point, line_plots
from r2ag.studies.study import Study, Titled
from r2ag.studies.tables import cell
from r2ag.types import RankedList, Record

ROW = "lists"
KINDS = {"own": "as they are", "removed": "relevant taken out", "off_topic": "off-topic"}
NAMES = {"removed": "removed", "off-topic": "off_topic"}
RESAMPLES = 1000  # each is computed anew on all lists


def _assess(
    seed: int, pipeline: Pipeline, records: Sequence[Record], lists: Sequence[RankedList]
) -> Iterator[Line | None]:
    if pipeline.reader.adapter.config.method != "r2ag":
        raise InputError("This adapter tells no relevance; name one of R²AG with --adapter.")
    threshold = pipeline.reader.adapter.config.calibration.threshold
    for made in three_lists(lists, [record.dataset for record in records], seed=seed):
        yield None if made is None else {"threshold": threshold} | _said(pipeline, made)


def _said(pipeline: Pipeline, lists: Lists) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind in KINDS:
        ranked: RankedList = getattr(lists, kind)
        (probabilities,) = pipeline.reader.assess([ranked]).probabilities
        # Another question's documents are not relevant to this one, whatever their labels say.
        labels = [kind == "own" and bool(document.relevant) for document in ranked.documents]
        found[kind] = {"probabilities": probabilities, "relevant": labels, "highest_cosine": max(cosines(ranked))}
    return found


def plan(options: Options) -> Plan:
    """Nothing is answered.

    Raises:
        InputError: a kind of list is unknown.
    """
    for kind in options.over:
        if kind not in NAMES:
            raise InputError(f"--over is {kind!r} here; give removed, off-topic or both.")
    return Plan((options.condition(ROW, measure=Measure("relevance", partial(_assess, options.seed))),))


def _lines(outcome: Outcome) -> dict[str, list[Line]]:
    """Lines by a title that counts them: all where there are several data sets, and those of each.

    Raises:
        InputError: no record has both relevant and other documents.
    """
    found = {place: line for place, line in enumerate(outcome.measured[ROW][0]) if line is not None}
    if not found:
        raise InputError("No record has relevant and other documents and another record beside it; give more records.")
    datasets = outcome.datasets(list(found))
    return {counted(title, len(places)): [found[int(i)] for i in places] for title, places in datasets.items()}


def tables(outcome: Outcome) -> list[Titled]:
    """Areas under the ROC curve, calibration errors, and what the threshold abstains from."""
    lines = _lines(outcome)
    found = tuple((title, *row) for title, some in lines.items() for row in _areas(some, outcome.options.over))
    errors = tuple((title, *row) for title, some in lines.items() for row in _errors(some))
    abstained = tuple((title, *_abstained(some)) for title, some in lines.items())
    sides = ("records", "told from lists that are", "highest probability", "highest cosine", "difference")
    measures = ("records", "lists", "documents", "expected calibration error", "Brier skill")
    threshold = next(iter(lines.values()))[0]["threshold"]
    return [
        Titled("Area under ROC: is something relevant there?", Table(sides, found)),
        Titled("Do probabilities mean what they say?", Table(measures, errors)),
        Titled(f"Share of lists abstained from at {threshold:.3f}", Table(("records", *KINDS.values()), abstained)),
    ]


def _areas(lines: Sequence[Line], over: Sequence[str]) -> Iterator[tuple[str, ...]]:
    by_head = {k: np.array([max(line[k]["probabilities"]) for line in lines]) for k in KINDS}
    by_cosine = {k: np.array([line[k]["highest_cosine"] for line in lines]) for k in KINDS}
    for name in over:
        found = areas(by_head, by_cosine, NAMES[name], 0, RESAMPLES)
        yield KINDS[NAMES[name]], cell(found.head), cell(found.cosine), cell(found.difference, "+")


def _errors(lines: Sequence[Line]) -> Iterator[tuple[str, ...]]:
    for words, kinds in (("as they are", ("own",)), ("as they are, and relevant taken out", ("own", "removed"))):
        said = _together(lines, kinds)
        error, skill = (over_records(figure, said, 0, RESAMPLES) for figure in (calibration_error, brier_skill))
        yield words, str(sum(len(row) for row, _ in said)), cell(error), cell(skill)


def _together(lines: Sequence[Line], kinds: Sequence[str]) -> Said:
    """A record's lists as one, so that they are drawn together."""
    return [
        ([p for kind in kinds for p in line[kind]["probabilities"]], [r for k in kinds for r in line[k]["relevant"]])
        for line in lines
    ]


def _abstained(lines: Sequence[Line]) -> Iterator[str]:
    for kind in KINDS:
        yield f"{np.mean([max(line[kind]['probabilities']) < line['threshold'] for line in lines]):.3f}"


def plots(outcome: Outcome) -> Plots:
    """Reliability: what share of documents is relevant, by the probability that the head gives them."""
    perfect = [Point(value, Interval(value, value, value)) for value in (0.0, 1.0)]
    panels = {
        title: {
            "as they are": _reliability(_together(lines, ("own",))),
            "with relevant taken out": _reliability(_together(lines, ("own", "removed"))),
            "perfect": perfect,
        }
        for title, lines in _lines(outcome).items()
    }
    return {"reliability": line_plots(panels, "probability of relevance, mean of a bin", "share that is relevant")}


def _reliability(said: Said) -> list[Point]:
    """A point a bin that has documents, with a bootstrap interval over records."""
    places = [np.clip(np.ceil(np.asarray(row) * BINS).astype(int) - 1, 0, BINS - 1) for row, _ in said]

    def sums(weights: Sequence[Sequence[float] | Sequence[bool]]) -> np.ndarray:
        rows = zip(places, weights, strict=True)
        return np.array([np.bincount(p, np.asarray(w, dtype=np.float64), BINS) for p, w in rows])

    counts, hits = sums([[1.0] * len(row) for row, _ in said]), sums([labels for _, labels in said])
    stated = sums([row for row, _ in said]).sum(axis=0)
    drawn = drawn_counts(len(said), RESAMPLES, np.random.default_rng(0))
    points = []
    for place in np.flatnonzero(counts.sum(axis=0)).tolist():
        seen = drawn @ counts[:, place]
        shares = (drawn @ hits[:, place])[seen > 0] / seen[seen > 0]
        total = counts[:, place].sum()
        points.append(Point(float(stated[place] / total), Interval.of(hits[:, place].sum() / total, shares)))
    return points


STUDY = Study("calibration", "How far relevance can be trusted", plan, (tables,), (plots,), answers=False)
