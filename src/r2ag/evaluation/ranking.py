"""How good rankings are, by ir-measures, which follows trec_eval's definitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from r2ag.evaluation.intervals import mean_interval
from r2ag.types import Document, RankedList, Record


@dataclass(frozen=True)
class RankingScores:
    """One list's measures. With several relevant documents recall at 1 is at most 1 / their number."""

    average_precision: float
    recall_at_1: float
    recall_at_5: float
    recall_at_10: float
    ndcg_at_10: float
    success_at_1: float


def score_rankings(labels: Sequence[Sequence[bool]], totals: Sequence[int] | None = None) -> list[RankingScores]:
    """Measures of each list.

    Args:
        labels: whether each document is relevant, in ranked order.
        totals: relevant documents that there are for each list, where rankings were cut and may lack some.
    """
    from ir_measures import AP, P, Qrel, R, ScoredDoc, iter_calc, nDCG

    totals = [sum(row) for row in labels] if totals is None else totals
    judged, run = [], []
    for number, (row, total) in enumerate(zip(labels, totals, strict=True)):
        judged += [Qrel(str(number), str(place), int(label)) for place, label in enumerate(row)]
        judged += [Qrel(str(number), f"cut {missing}", 1) for missing in range(total - sum(row))]
        run += [ScoredDoc(str(number), str(place), -float(place)) for place in range(len(row))]
    measures = (AP, R @ 1, R @ 5, R @ 10, nDCG @ 10, P @ 1)
    values = {(found.query_id, found.measure): found.value for found in iter_calc(measures, judged, run)}
    return [RankingScores(*(values[str(number), measure] for measure in measures)) for number in range(len(labels))]


def labels_of(documents: Sequence[Document]) -> list[bool]:
    """Whether each is relevant; what nobody has labelled is not."""
    return [bool(document.relevant) for document in documents]


def average_precisions(records: Sequence[Record], lists: Sequence[RankedList]) -> np.ndarray:
    """Of each list, (records,); relevant documents that were cut off count, and records without any are NaN."""
    totals = [sum(labels_of(record.documents)) for record in records]
    measured = [row for row, total in enumerate(totals) if total]
    found = np.full(len(records), np.nan)
    if measured:
        scores = score_rankings(
            [labels_of(lists[row].documents) for row in measured], [totals[row] for row in measured]
        )
        found[measured] = [score.average_precision for score in scores]
    return found


_MEANS = ("recall_at_1", "success_at_1", "recall_at_5", "recall_at_10", "ndcg_at_10")


def ranking_figures(labels: Sequence[Sequence[bool]], totals: Sequence[int] | None = None) -> dict[str, Any]:
    """Means over lists, of which each should have something relevant; MAP with its 95 % interval."""
    if not labels:
        return {"records": 0, **dict.fromkeys(("map", *_MEANS))}
    scores = score_rankings(labels, totals)
    precision = mean_interval([score.average_precision for score in scores])
    means = {name: fmean(getattr(score, name) for score in scores) for name in _MEANS}
    return {"records": len(scores), "map": precision.mean, "map_ci95": precision.ends, **means}
