from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2ag.evaluation.trust import (
    area,
    areas,
    brier_skill,
    brier_skill_score,
    calibration_error,
    expected_calibration_error,
    over_records,
    roc_auc,
    three_lists,
)
from r2ag.types import Document, RankedList


def ranked(question: str, *relevant: bool) -> RankedList:
    documents = tuple(Document(f"{question} {i}", relevant=label) for i, label in enumerate(relevant))
    vectors = np.stack([[1 - 0.1 * i, 0.1 * i] for i in range(len(relevant))]).astype(np.float32)
    return RankedList(question, documents, np.array([1, 0], dtype=np.float32), vectors)


def test_three_lists_of_a_record() -> None:
    lists = [ranked("a", True, False), ranked("b", True, True), ranked("c", False, True), ranked("a", True, False)]
    first, second, third, last = three_lists(lists, ["one", "one", "two", "three"], seed=0)
    assert first is not None
    assert third is not None
    assert last is not None
    assert second is None  # nothing irrelevant would be left
    assert [d.text for d in first.removed.documents] == ["a 1"]
    assert first.off_topic.question == "a"
    # From elsewhere, and never the same question in another data set.
    assert first.off_topic.documents[0].text[0] == "c"
    assert last.off_topic.documents[0].text[0] in "bc"
    assert three_lists(lists[:1], ["one"], seed=0) == [None]


def test_an_area_is_that_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    own, without = generator.integers(0, 8, 40) / 8, generator.integers(0, 6, 25) / 8  # with many ties
    assert area(own, without) == pytest.approx(roc_auc([*own, *without], [True] * 40 + [False] * 25))


def test_areas_are_paired_by_record() -> None:
    perfect = {"own": np.array([0.9, 0.8, 0.7]), "removed": np.array([0.1, 0.2, 0.3])}
    useless = {"own": np.array([0.5, 0.5, 0.5]), "removed": np.array([0.5, 0.5, 0.5])}
    found = areas(perfect, useless, "removed", seed=0, resamples=50)
    assert (found.head.mean, found.head.ends) == (1, [1, 1])
    assert found.cosine.mean == 0.5
    assert found.difference.ends == [0.5, 0.5]


def test_figures_over_records() -> None:
    said = [([0.9, 0.1], [True, False])] * 6
    assert calibration_error(said) == pytest.approx(0.1)
    assert brier_skill(said) == pytest.approx(1 - 0.01 / 0.25)
    interval = over_records(calibration_error, said, seed=0, resamples=20)
    assert interval.ends == pytest.approx([0.1, 0.1])
    assert brier_skill([([0.3], [False])]) == 0


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
