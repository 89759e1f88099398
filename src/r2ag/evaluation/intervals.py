"""How sure a figure is: bootstrap intervals, paired by record where two methods are compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000
_ELEMENTS_AT_ONCE = 2_000_000  # bounds the memory of a resampling


@dataclass(frozen=True)
class Interval:
    """A figure, often a mean, with its 95 % interval."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, figure: float, resampled: np.ndarray | Sequence[float]) -> Interval:
        """The interval from the 2.5 % to the 97.5 % percentile of the figure's resampled values."""
        low, high = np.quantile(resampled, [0.025, 0.975])
        return cls(float(figure), float(low), float(high))

    @property
    def ends(self) -> list[float]:
        """[low, high]."""
        return [self.low, self.high]


def bootstrap(figure: Callable[[np.ndarray], float], count: int, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """Any figure of `count` records with its interval. Equal counts and seeds draw the same records.

    Args:
        figure: computes it from the records at these indices, (count,).
    """
    generator = np.random.default_rng(seed)
    drawn = [figure(generator.integers(count, size=count)) for _ in range(resamples)]
    return Interval.of(figure(np.arange(count)), drawn)


def mean_interval(values: Sequence[float], seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """Mean of at least one value, with its interval."""
    return grid_interval(np.asarray(values, dtype=np.float64)[None], seed, resamples)


def paired_interval(
    values: Sequence[float], others: Sequence[float], seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """Mean of `values` minus `others`, record by record, with its interval.

    Raises:
        ValueError: the two differ in length.
    """
    return mean_interval([a - b for a, b in zip(values, others, strict=True)], seed, resamples)


def grid_interval(values: np.ndarray, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """Mean of `values` (seeds, records) with its interval over both: seeds and records are drawn independently.

    With one seed it is that of the records alone. Few seeds say little of how training varies: of three the interval
    covers about four fifths of that spread.
    """
    return paired_grid_interval(values, np.zeros((1, values.shape[1])), seed, resamples)


def paired_grid_interval(values: np.ndarray, others: np.ndarray, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """Mean of `values` minus that of `others`, both (seeds, records) with the same records, with its interval.

    Both get the same records in each resample. Seeds are drawn for each of them apart, since runs of the one have
    nothing to do with runs of the other.

    Raises:
        ValueError: the two differ in records.
    """
    count = values.shape[1]
    if count != others.shape[1]:
        raise ValueError(f"{count} records can't be paired with {others.shape[1]}")
    generator = np.random.default_rng(seed)
    rows = max(1, _ELEMENTS_AT_ONCE // count)
    drawn = []
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        ours, theirs = (drawn_counts(len(some), size, generator) / len(some) @ some for some in (values, others))
        indices = generator.integers(count, size=(size, count))
        drawn.append(np.take_along_axis(ours - theirs, indices, axis=1).mean(axis=1))
    return Interval.of(values.mean() - others.mean(), np.concatenate(drawn))


def drawn_counts(count: int, resamples: int, generator: np.random.Generator) -> np.ndarray:
    """How often each of `count` things is drawn in each resample: (resamples, count)."""
    counts: np.ndarray = generator.multinomial(count, [1 / count] * count, size=resamples)
    return counts


def mcnemar(values: Sequence[float], others: Sequence[float]) -> float:
    """Exact two-sided p that two methods, each right (1) or wrong (0) on the same records, are equally good."""
    won = sum(a > b for a, b in zip(values, others, strict=True))
    lost = sum(a < b for a, b in zip(values, others, strict=True))
    tail = sum(math.comb(won + lost, wins) for wins in range(min(won, lost) + 1))
    return min(1.0, 2 * tail / (1 << (won + lost)))
