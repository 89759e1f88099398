"""How good probabilities are: whether they mean what they say, and whether they tell the true from the false."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BINS = 10


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
