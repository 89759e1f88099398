from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2ag.evaluation.reliability import brier_skill_score, expected_calibration_error, roc_auc

SAID = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=20)


def test_calibration_error_by_hand() -> None:
    # bin (.1, .2]: said .2 and .2, happened 1 of 2, gap .3; bin (.8, .9]: said .9, happened, gap .1
    assert expected_calibration_error([0.2, 0.2, 0.9], [True, False, True]) == pytest.approx(2 / 3 * 0.3 + 1 / 3 * 0.1)
    assert expected_calibration_error([0.0, 1.0], [False, True]) == 0
    assert expected_calibration_error([0.0, 1.0], [True, False]) == 1
    # within one bin the gaps of several probabilities cancel: .12 and .18 on average .15
    assert expected_calibration_error([0.12, 0.18], [True, False], bins=1) == pytest.approx(0.35)


def test_brier_skill_by_hand() -> None:
    # Brier score (.04 + .01) / 2 = .025; the base rate .5 scores .25
    assert brier_skill_score([0.8, 0.1], [True, False]) == pytest.approx(1 - 0.025 / 0.25)
    assert brier_skill_score([0.5, 0.5], [True, False]) == 0
    assert brier_skill_score([0.9], [True]) is None


def test_area_by_hand() -> None:
    # pairs (.8, .5) (.8, .2) (.5, .5) (.5, .2): right, right, tie, right
    assert roc_auc([0.8, 0.5, 0.5, 0.2], [True, True, False, False]) == pytest.approx(3.5 / 4)
    assert roc_auc([0.8, 0.5], [True, True]) is None


@given(SAID)
def test_bounds(pairs: list[tuple[float, bool]]) -> None:
    said, true = [p for p, _ in pairs], [t for _, t in pairs]
    assert 0 <= expected_calibration_error(said, true) <= 1
    skill, area = brier_skill_score(said, true), roc_auc(said, true)
    assert (skill is None) == (area is None) == (len(set(true)) == 1)
    if skill is not None and area is not None:
        assert skill <= 1
        assert roc_auc([-p for p in said], true) == pytest.approx(1 - area)
