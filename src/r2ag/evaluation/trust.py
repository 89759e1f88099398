"""How far probabilities of relevance can be trusted.

Are they calibrated? Do they tell relevant from irrelevant documents, and lists that hold nothing relevant from others?
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from r2ag.encoder.encoder import rank_by_similarity
from r2ag.evaluation.intervals import Interval, bootstrap
from r2ag.types import RankedList

BINS = 10
RESAMPLES = 2000


def expected_calibration_error(probabilities: Sequence[float], happened: Sequence[bool], bins: int = BINS) -> float:
    """Mean distance between what was said and how often it came true, over bins of equal width, weighted by their size.

    As Guo et al., "On Calibration of Modern Neural Networks" (2017), define it: 0 is perfect.
    """
    said, true = np.asarray(probabilities, dtype=np.float64), np.asarray(happened, dtype=np.float64)
    place = np.clip(np.ceil(said * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(place, weights=said - true, minlength=bins)
    return float(np.abs(gaps).sum() / len(said))


def brier_skill_score(probabilities: Sequence[float], happened: Sequence[bool]) -> float | None:
    """1 minus the Brier score divided by that of always saying the base rate: 1 is perfect, 0 no better than that.

    None where all or nothing happened, since the base rate is then perfect.
    """
    said, true = np.asarray(probabilities, dtype=np.float64), np.asarray(happened, dtype=np.float64)
    reference = float(((true.mean() - true) ** 2).mean())
    return 1 - float(((said - true) ** 2).mean()) / reference if reference else None


def roc_auc(scores: Sequence[float], happened: Sequence[bool]) -> float | None:
    """Chance that something true scores above something false (ties count half); None where one of them is missing."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(happened, scores)) if len(set(happened)) == 2 else None


@dataclass(frozen=True)
class Lists:
    """One record's three lists: its own, that without its relevant documents, and another data set's."""

    own: RankedList
    removed: RankedList
    off_topic: RankedList


def three_lists(lists: Sequence[RankedList], sources: Sequence[object], seed: int) -> list[Lists | None]:
    """Of each record with something relevant and something irrelevant, in the encoder's order; None of the others.

    Args:
        sources: where each record comes from; off-topic lists come from elsewhere where there are several.
    """
    generator = random.Random(seed)
    several = len(set(sources)) > 1
    made: list[Lists | None] = []
    for place, ranked in enumerate(lists):
        others = [i for i, source in enumerate(sources) if (source != sources[place] if several else i != place)]
        # The three NQ sets have the same questions.
        others = [i for i in others if lists[i].question != ranked.question]
        other = lists[generator.choice(others)] if others else None
        removed = ranked.without_relevant()
        if other is None or removed is None or not any(document.relevant for document in ranked.documents):
            made.append(None)
            continue
        off_topic = RankedList(ranked.question, other.documents, ranked.query_vector, other.document_vectors)
        made.append(Lists(*map(rank_by_similarity, (ranked, removed, off_topic))))
    return made


def area(own: np.ndarray, without: np.ndarray) -> float:
    """Area under the ROC curve of telling lists with something relevant from lists without, by their scores.

    As `roc_auc`, ties counting half, without what scikit-learn checks: a bootstrap asks thousands of times.
    """
    ordered = np.sort(without)
    below = np.searchsorted(ordered, own, "left") + np.searchsorted(ordered, own, "right")
    return float(below.mean() / (2 * len(ordered)))


@dataclass(frozen=True)
class Areas:
    """Areas under the ROC curve by the head's highest probability and by the highest cosine, paired by record."""

    head: Interval
    cosine: Interval
    difference: Interval


def areas(
    head: Mapping[str, np.ndarray], cosine: Mapping[str, np.ndarray], kind: str, seed: int, resamples: int = RESAMPLES
) -> Areas:
    """Telling "own" lists from those of a kind, by arrays of highest scores, (records,); bootstrap over records."""

    def area_of(scores: Mapping[str, np.ndarray], rows: np.ndarray) -> float:
        return area(scores["own"][rows], scores[kind][rows])

    figures = (
        lambda rows: area_of(head, rows),
        lambda rows: area_of(cosine, rows),
        lambda rows: area_of(head, rows) - area_of(cosine, rows),
    )
    return Areas(*(bootstrap(figure, len(head["own"]), seed, resamples) for figure in figures))


Said = Sequence[tuple[Sequence[float], Sequence[bool]]]
"""Probabilities and labels of a record's documents, or of several of its lists' documents together."""


def calibration_error(said: Said) -> float:
    """Expected calibration error over all documents."""
    return expected_calibration_error(*_flat(said))


def brier_skill(said: Said) -> float:
    """Brier skill over all documents; 0 where all or nothing is relevant, since the base rate can't be beaten."""
    return brier_skill_score(*_flat(said)) or 0.0


def over_records(figure: Callable[[Said], float], said: Said, seed: int, resamples: int = RESAMPLES) -> Interval:
    """A figure of many records with its bootstrap interval over them."""
    return bootstrap(lambda rows: figure([said[i] for i in rows]), len(said), seed, resamples)


def _flat(said: Said) -> tuple[list[float], list[bool]]:
    return [p for row, _ in said for p in row], [label for _, row in said for label in row]
