"""Step 5: from relevance logits to probabilities that mean the same everywhere, and the threshold for abstaining."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

TURNED_AWAY = 0.05  # of the lists with a relevant document, by the threshold


@dataclass(frozen=True)
class Calibration:
    """p(relevant) = sigmoid(slope · logit + intercept) (Platt), and the probabilities from which a document counts.

    `fitted_on` says on which records; a probability is calibrated there and only plausible elsewhere.
    """

    slope: float = 1.0
    intercept: float = 0.0
    threshold: float = 0.5  # of "something relevant is here": citations, and abstaining where nothing passes
    prune_threshold: float = 0.5  # of "worth reading": below it a document is left out of a pruned prompt
    fitted_on: str = "nothing"

    def probability(self, logit: float) -> float:
        """Calibrated probability that the document is relevant."""
        score = self.slope * logit + self.intercept
        return 1.0 / (1.0 + math.exp(-score)) if score >= 0 else math.exp(score) / (1.0 + math.exp(score))


def keep_relevant(probabilities: Sequence[float], threshold: float) -> list[int]:
    """Indices whose probability passes the threshold, in list order; at least the most probable one."""
    best = max(range(len(probabilities)), key=probabilities.__getitem__)
    return [index for index, p in enumerate(probabilities) if p >= threshold or index == best]


def fit_platt(logits: Sequence[float], relevant: Sequence[bool], steps: int = 100) -> tuple[float, float]:
    """Slope and intercept by Newton's method on the log-loss, with Platt's smoothed targets against overconfidence."""
    x = np.asarray(logits, dtype=np.float64)
    positive = np.asarray(relevant, dtype=bool)
    high = (positive.sum() + 1.0) / (positive.sum() + 2.0)
    low = 1.0 / ((~positive).sum() + 2.0)
    target = np.where(positive, high, low)
    design = np.stack([x, np.ones_like(x)], axis=1)

    def loss(weights: np.ndarray) -> float:
        score = design @ weights
        return float(np.logaddexp(0.0, score).sum() - (target * score).sum())

    weights = np.array([1.0, 0.0])
    for _ in range(steps):
        p = 1.0 / (1.0 + np.exp(-np.clip(design @ weights, -30, 30)))
        curvature = (design * (p * (1 - p))[:, None]).T @ design + 1e-6 * np.eye(2)
        step = np.linalg.solve(curvature, design.T @ (p - target))
        # Far from the optimum a full Newton step can overshoot without bound; it is halved until the loss falls.
        while loss(weights - step) > loss(weights) and np.abs(step).max() > 1e-10:
            step = step / 2
        weights = weights - step
        if np.abs(step).max() < 1e-8:
            break
    return float(weights[0]), float(weights[1])


def choose_threshold(best_probability: Sequence[float], answerable: Sequence[bool]) -> float:
    """The threshold on a list's highest probability below which nothing relevant is taken to be there.

    To be told that nothing was found, where something is, costs people more than an answer with weak documents beside
    it, whose probabilities they see. So one in twenty lists with a relevant document may be turned away, and within
    that as many as can be of those without.

    Args:
        best_probability: the highest probability of each list.
        answerable: whether the list holds a relevant document.

    Returns:
        The highest threshold that turns away no more, halfway between two observed probabilities; a half where
        there are not both kinds of lists.
    """
    scores, labels = np.asarray(best_probability, dtype=np.float64), np.asarray(answerable, dtype=bool)
    if labels.all() or not labels.any():
        return 0.5
    observed = np.unique(scores)
    candidates = np.concatenate([[0.0], (observed[1:] + observed[:-1]) / 2])
    turned_away = (scores[labels][None, :] < candidates[:, None]).mean(axis=1)
    return float(candidates[turned_away <= TURNED_AWAY].max())
