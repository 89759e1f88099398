from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r2ag.evaluation.intervals import mcnemar, mean_interval, paired_interval

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
