from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2ag.method.calibration import Calibration, choose_threshold, fit_platt

LOGITS = st.floats(-1e300, 1e300)


def labelled_logits(slope: float, intercept: float, count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn with probability sigmoid(slope · logit + intercept)."""
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 3 / slope, count)
    return logits, generator.random(count) < 1 / (1 + np.exp(-(slope * logits + intercept)))


@pytest.mark.parametrize(("slope", "intercept"), [(1.7, -0.6), (0.002, 1.0), (300.0, -2.0)])
def test_platt_scaling_finds_slope_and_intercept(slope, intercept):
    fitted = fit_platt(*labelled_logits(slope, intercept))
    assert fitted == (pytest.approx(slope, rel=0.05), pytest.approx(intercept, abs=0.1))


def test_fitted_probabilities_sum_to_the_smoothed_labels():
    logits, relevant = labelled_logits(0.8, 1.5, count=300)
    fitted = Calibration(*fit_platt(logits, relevant))
    positive, negative = relevant.sum(), (~relevant).sum()
    expected = positive * (positive + 1) / (positive + 2) + negative / (negative + 2)
    assert sum(map(fitted.probability, logits)) == pytest.approx(expected, rel=1e-6)


def test_separable_logits_do_not_make_certainty():
    fitted = Calibration(*fit_platt([-2.0, -1.0, 1.0, 2.0], [False, False, True, True]))
    assert 0.5 < fitted.probability(1.0) < fitted.probability(2.0) < 0.95
    assert fitted.probability(-1.0) == pytest.approx(1 - fitted.probability(1.0))


@pytest.mark.parametrize("relevant", [[], [True], [False] * 3, [True] * 50])
def test_labels_of_one_kind_give_finite_numbers(relevant):
    slope, intercept = fit_platt([0.5] * len(relevant), relevant)
    assert math.isfinite(slope)
    assert math.isfinite(intercept)


@given(LOGITS, LOGITS, st.floats(0.0, 100.0), st.floats(-100.0, 100.0))
def test_a_greater_logit_is_never_less_probable(one, other, slope, intercept):
    calibration = Calibration(slope, intercept)
    low, high = (calibration.probability(logit) for logit in sorted((one, other)))
    assert 0.0 <= low <= high <= 1.0


def test_probability_is_the_sigmoid():
    assert Calibration().probability(0.0) == 0.5
    assert Calibration(2.0, 1.0).probability(-1.5) == pytest.approx(1 / (1 + math.exp(2.0)))
    assert [Calibration().probability(logit) for logit in (-1e6, 1e6)] == [0.0, 1.0]


@pytest.mark.parametrize(
    ("best", "answerable", "threshold"),
    [
        ([0.1, 0.2, 0.7, 0.9], [False, False, True, True], 0.45),
        ([0.9, 0.1, 0.2, 0.7], [True, False, False, True], 0.45),
        # One in three would be turned away for the sake of one without.
        ([0.2, 0.4, 0.6, 0.8], [True, False, True, True], 0.0),
        ([0.8, 0.9, 0.1, 0.2], [False, False, True, True], 0.0),
        # One in twenty may be, and two may not.
        ([0.3] + [0.7] * 19 + [0.5], [True] * 20 + [False], 0.6),
        ([0.3] * 2 + [0.7] * 18 + [0.1, 0.5], [True] * 20 + [False] * 2, 0.2),
    ],
)
def test_the_threshold_turns_away_one_in_twenty_and_of_the_others_what_it_can(best, answerable, threshold):
    assert choose_threshold(best, answerable) == pytest.approx(threshold)


@pytest.mark.parametrize("answerable", [[], [True, True], [False, False]])
def test_without_both_kinds_of_lists_the_threshold_is_a_half(answerable):
    assert choose_threshold([0.9] * len(answerable), answerable) == 0.5
