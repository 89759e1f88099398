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


def grid_interval(values: np.ndarray, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """Mean of `values` (seeds, records) with its interval over both: seeds and records are drawn independently.

    With one seed it is that of the records alone. Few seeds say little of how training varies: of three the interval
    covers about four fifths of that spread.
    """
    zeros = np.zeros((1, values.shape[1]))
    return paired_grid_interval(values, zeros, seed, resamples)


def paired_grid_interval(values: np.ndarray, others: np.ndarray, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """Mean of `values` minus that of `others`, both (seeds, records) with the same records, with its interval.

    Records are drawn for both alike, the seeds of each for itself: a seed of one run is none of the other's.

    Raises:
        ValueError: the two differ in records.
    """
    if values.shape[1] != others.shape[1]:
        raise ValueError(f"{values.shape[1]} records can't be paired with {others.shape[1]}")
    generator = np.random.default_rng(seed)
    count = values.shape[1]
    rows = max(1, _ELEMENTS_AT_ONCE // count)
    drawn = []
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        differences = _drawn_seeds(values, size, generator) - _drawn_seeds(others, size, generator)
        indices = generator.integers(count, size=(size, count))
        drawn.append(np.take_along_axis(differences, indices, axis=1).mean(axis=1))
    low, high = np.quantile(np.concatenate(drawn), [0.025, 0.975])
    return Interval(float(values.mean() - others.mean()), float(low), float(high))


def _drawn_seeds(values: np.ndarray, size: int, generator: np.random.Generator) -> np.ndarray:
    """Means over as many seeds as there are, drawn anew `size` times: (size, records)."""
    seeds = len(values)
    weights = generator.multinomial(seeds, [1 / seeds] * seeds, size=size) / seeds
    means: np.ndarray = weights @ values
    return means


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
