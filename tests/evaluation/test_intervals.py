from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r2ag.evaluation.intervals import (
    bootstrap,
    drawn_counts,
    grid_interval,
    mcnemar,
    mean_interval,
    paired_grid_interval,
    paired_interval,
)

rights = st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=30)


def test_interval_agrees_with_the_normal_approximation() -> None:
    values = [1.0] * 120 + [0.0] * 280
    interval = mean_interval(values)
    half = 1.96 * np.sqrt(0.3 * 0.7 / 400)
    assert interval.mean == pytest.approx(0.3)
    assert interval.ends == pytest.approx([0.3 - half, 0.3 + half], abs=0.005)


def test_pairing_removes_what_both_share() -> None:
    generator = np.random.default_rng(0)
    hardness = generator.normal(size=200)
    interval = paired_interval((hardness + 0.1).tolist(), hardness.tolist())
    assert interval.ends == pytest.approx([0.1, 0.1])


def test_many_records_are_resampled_in_pieces() -> None:
    interval = mean_interval([0.0, 1.0] * 3000, resamples=1000)
    assert interval.low == pytest.approx(0.5 - 1.96 * 0.5 / np.sqrt(6000), abs=0.003)


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        paired_interval([1.0, 0.0], [1.0])


def test_mcnemar_by_hand() -> None:
    # 5 won, 1 lost: 2 · (C(6,0) + C(6,1)) / 2^6
    assert mcnemar([1] * 5 + [0, 1], [0] * 5 + [1, 1]) == pytest.approx(14 / 64)
    assert mcnemar([1, 0], [1, 0]) == 1
    assert mcnemar([1, 0], [0, 1]) == 1


@settings(max_examples=20)
@given(rights)
def test_the_mean_lies_in_its_interval_and_the_seed_decides(values: list[float]) -> None:
    interval = mean_interval(values, resamples=500)
    assert min(values) <= interval.low <= interval.mean <= interval.high <= max(values)
    assert interval == mean_interval(values, resamples=500)


@settings(max_examples=20)
@given(st.lists(st.tuples(st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 1.0])), min_size=1, max_size=30))
def test_exchanging_two_methods_mirrors_the_difference(pairs: list[tuple[float, float]]) -> None:
    ours, theirs = [a for a, _ in pairs], [b for _, b in pairs]
    there, back = paired_interval(ours, theirs, resamples=200), paired_interval(theirs, ours, resamples=200)
    assert there.ends == pytest.approx([-back.high, -back.low])
    assert mcnemar(ours, theirs) == mcnemar(theirs, ours)


def test_an_interval_over_seeds_and_records() -> None:
    generator = np.random.default_rng(0)
    one = generator.random((1, 200))
    found, known = grid_interval(one), mean_interval(one[0].tolist())
    assert found.mean == pytest.approx(known.mean)
    assert found.ends == pytest.approx(known.ends, abs=0.005)
    # Three seeds that agree on each record say no more than one; seeds that differ widen the interval.
    assert grid_interval(np.repeat(one, 3, axis=0)).ends == pytest.approx(known.ends, abs=0.005)
    apart = grid_interval(one + np.array([[-0.3], [0.0], [0.3]]))
    assert apart.mean == pytest.approx(known.mean)
    assert apart.high - apart.low > 3 * (known.high - known.low)


def test_differences_over_seeds_are_paired_by_record() -> None:
    values = np.random.default_rng(0).random((2, 50))
    shifted = paired_grid_interval(values[:1] + 0.25, values[:1])
    assert shifted.ends == pytest.approx([0.25, 0.25])
    assert paired_grid_interval(values, values[:1]).mean == pytest.approx(values.mean() - values[0].mean())
    with pytest.raises(ValueError, match="50 records"):
        paired_grid_interval(values, values[:, :10])


def test_any_figure_of_records_has_an_interval() -> None:
    values = np.random.default_rng(0).random(100)
    found, known = (
        bootstrap(lambda rows: float(values[rows].mean()), 100, resamples=4000),
        mean_interval(values.tolist()),
    )
    assert found.mean == pytest.approx(known.mean)
    assert found.ends == pytest.approx(known.ends, abs=0.005)
    seen = list[list[int]]()
    bootstrap(lambda rows: seen.append(rows.tolist()) or 0.0, 4, seed=3, resamples=2)
    bootstrap(lambda rows: seen.append(rows.tolist()) or 0.0, 4, seed=3, resamples=2)
    assert seen[:3] == seen[3:]
    assert seen[2] == [0, 1, 2, 3]  # at last the records as they are


def test_each_resample_draws_as_many_as_there_are() -> None:
    counts = drawn_counts(7, 50, np.random.default_rng(0))
    assert counts.shape == (50, 7)
    assert set(counts.sum(axis=1)) == {7}
    assert 0 < (counts == 0).sum() < counts.size
