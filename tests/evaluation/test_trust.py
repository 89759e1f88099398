from __future__ import annotations

import numpy as np
import pytest

from r2ag.evaluation.reliability import roc_auc
from r2ag.evaluation.trust import area, areas, brier_skill, calibration_error, over_records, three_lists
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
