"""Calibration: whether probabilities mean what they say, and tell when nothing relevant is there.

Each record is assessed three times: its list as it is, without its relevant documents, and with another data set's
documents. The highest cosine, which needs no training, is what the head has to beat.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from r2ag.errors import InputError
from r2ag.evaluation.intervals import Interval, drawn_counts
from r2ag.evaluation.methods.rag import cosines
from r2ag.evaluation.table import Table, with_interval
from r2ag.evaluation.trust import (
    BINS,
    Areas,
    Lists,
    Said,
    areas,
    brier_skill,
    calibration_error,
    over_records,
    three_lists,
)
from r2ag.studies.base import Condition, Measure, Options, Plan, Row
from r2ag.studies.outcome import Outcome
from r2ag.studies.plots import Point, line_plots
from r2ag.studies.study import Study, Titled
from r2ag.types import RankedList, Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from r2ag.pipeline import Pipeline

ROW = "lists"
KINDS = {"own": "as they are", "removed": "relevant taken out", "off_topic": "off-topic"}
NAMES = {"removed": "removed", "off-topic": "off_topic"}
RESAMPLES = 1000  # each is computed anew on all lists


def _start(pipeline: Pipeline, records: Sequence[Record], lists: Sequence[RankedList], seed: int) -> Row:
    if pipeline.reader.adapter.config.method != "r2ag":
        raise InputError("This adapter tells no relevance; name one of R²AG with --adapter.")
    made = three_lists(lists, [record.dataset for record in records], seed=seed)
    threshold = pipeline.reader.adapter.config.calibration.threshold

    def measure(place: int) -> dict[str, Any] | None:
        own = made[place]
        return None if own is None else {"threshold": threshold} | _said(pipeline, own)

    return measure


def _said(pipeline: Pipeline, lists: Lists) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind in KINDS:
        ranked: RankedList = getattr(lists, kind)
        (probabilities,) = pipeline.reader.assess([ranked]).probabilities
        # Another question's documents are none of this one's, whatever their labels say.
        labels = [kind == "own" and bool(document.relevant) for document in ranked.documents]
        found[kind] = {"probabilities": probabilities, "relevant": labels, "highest_cosine": max(cosines(ranked))}
    return found


def plan(options: Options) -> Plan:
    """Nothing is answered.

    Raises:
        InputError: methods are named, or a kind of list is unknown.
    """
    if options.methods:
        raise InputError("The study calibration answers nothing; leave out --methods.")
    for kind in options.over:
        if kind not in NAMES:
            raise InputError(f"--over is {kind!r} here; give removed, off-topic or both.")
    measure = Measure("relevance", partial(_start, seed=options.seed))
    return Plan((Condition(ROW, (), options.adapter, k=options.k, seed=options.seed, measure=measure),))


Lines = Sequence[Mapping[str, Any]]


def _lines(outcome: Outcome) -> dict[str, Lines]:
    """Lines by title: all records where there are several data sets, and each of these.

    Raises:
        InputError: no record has both relevant and other documents.
    """
    lines = outcome.measured[ROW][0]
    if not lines:
        raise InputError("No record has relevant and other documents and another record beside it; give more records.")
    names = list(dict.fromkeys(line["dataset"] for line in lines))
    each: dict[str, Lines] = {name: [line for line in lines if line["dataset"] == name] for name in names}
    return each if len(each) == 1 else {"All records": lines, **each}


def tables(outcome: Outcome) -> list[Titled]:
    """Areas under the ROC curve, calibration errors, and what the threshold abstains from."""
    return [_areas_table(outcome), _errors_table(outcome), _abstained_table(outcome)]


def _areas_table(outcome: Outcome) -> Titled:
    rows = []
    for title, lines in _lines(outcome).items():
        for name in outcome.options.over:
            found = _areas(lines, NAMES[name])
            cells = (_cell(found.head), _cell(found.cosine), _cell(found.difference, "+"))
            rows.append((f"{title} ({len(lines)} records)", KINDS[NAMES[name]], *cells))
    head = ("records", "told from lists that are", "highest probability", "highest cosine", "difference")
    return Titled("Area under ROC: is something relevant there?", Table(head, tuple(rows)))


def _areas(lines: Lines, kind: str) -> Areas:
    by_head = {k: np.array([max(line[k]["probabilities"]) for line in lines]) for k in KINDS}
    by_cosine = {k: np.array([line[k]["highest_cosine"] for line in lines]) for k in KINDS}
    return areas(by_head, by_cosine, kind, 0, RESAMPLES)


def _errors_table(outcome: Outcome) -> Titled:
    rows = []
    for title, lines in _lines(outcome).items():
        for words, kinds in (("as they are", ("own",)), ("as they are, and relevant taken out", ("own", "removed"))):
            said = _together(lines, kinds)
            documents = sum(len(row) for row, _ in said)
            error, skill = (over_records(figure, said, 0, RESAMPLES) for figure in (calibration_error, brier_skill))
            rows.append((f"{title} ({len(lines)} records)", words, str(documents), _cell(error), _cell(skill)))
    head = ("records", "lists", "documents", "expected calibration error", "Brier skill")
    return Titled("Do probabilities mean what they say?", Table(head, tuple(rows)))


def _together(lines: Lines, kinds: Sequence[str]) -> Said:
    """A record's lists as one, so that they are drawn together."""
    return [
        ([p for kind in kinds for p in line[kind]["probabilities"]], [r for k in kinds for r in line[k]["relevant"]])
        for line in lines
    ]


def _abstained_table(outcome: Outcome) -> Titled:
    rows = []
    for title, lines in _lines(outcome).items():
        shares = [np.mean([max(line[kind]["probabilities"]) < line["threshold"] for line in lines]) for kind in KINDS]
        rows.append((f"{title} ({len(lines)} records)", *(f"{share:.3f}" for share in shares)))
    threshold = _lines(outcome).popitem()[1][0]["threshold"]
    return Titled(f"Share of lists abstained from at {threshold:.3f}", Table(("records", *KINDS.values()), tuple(rows)))


def _cell(interval: Interval, sign: str = "") -> str:
    return with_interval(interval.mean, interval.ends, sign)


def plots(outcome: Outcome) -> dict[str, Figure]:
    """Reliability: how often a document is relevant that was said to be so with a probability."""
    panels = {}
    for title, lines in _lines(outcome).items():
        series = {
            words: _reliability(_together(lines, kinds))
            for words, kinds in (("as they are", ("own",)), ("with relevant taken out", ("own", "removed")))
        }
        perfect = [Point(value, Interval(value, value, value)) for value in (0.0, 1.0)]
        panels[f"{title} ({len(lines)} records)"] = series | {"perfect": perfect}
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


STUDY = Study("How far relevance can be trusted", "lists", plan, tables, plots)
