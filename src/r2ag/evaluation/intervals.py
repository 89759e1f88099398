"""How sure a figure is: bootstrap intervals, paired by record where two methods are compared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000
_ELEMENTS_AT_ONCE = 2_000_000  # bounds the memory of a resampling


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def ends(self) -> list[float]:
        """[low, high]."""
        return [self.low, self.high]


def mean_interval(values: Sequence[float], seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """Mean of at least one value, with the bootstrap's 2.5 % and 97.5 % percentiles."""
    sample = np.asarray(values, dtype=np.float64)
    low, high = np.quantile(_resampled_means(sample, seed, resamples), [0.025, 0.975])
    return Interval(float(sample.mean()), float(low), float(high))


def paired_interval(
    values: Sequence[float], others: Sequence[float], seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """Mean of `values` minus `others`, record by record, with its bootstrap interval.

    Raises:
        ValueError: the two differ in length.
    """
    return mean_interval([a - b for a, b in zip(values, others, strict=True)], seed, resamples)


def mcnemar(values: Sequence[float], others: Sequence[float]) -> float:
    """Exact two-sided p that two methods, each right (1) or wrong (0) on the same records, are equally good."""
    won = sum(a > b for a, b in zip(values, others, strict=True))
    lost = sum(a < b for a, b in zip(values, others, strict=True))
    tail = sum(math.comb(won + lost, wins) for wins in range(min(won, lost) + 1))
    return min(1.0, 2 * tail / (1 << (won + lost)))


def _resampled_means(sample: np.ndarray, seed: int, resamples: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    rows = max(1, _ELEMENTS_AT_ONCE // len(sample))
    sizes = [min(rows, resamples - start) for start in range(0, resamples, rows)]
    drawn = (generator.integers(len(sample), size=(size, len(sample))) for size in sizes)
    return np.concatenate([sample[indices].mean(axis=1) for indices in drawn])
