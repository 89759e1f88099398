from __future__ import annotations

from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2ag.evaluation.ranking import ranking_figures, score_rankings

LABELS = st.lists(st.lists(st.booleans(), min_size=1, max_size=12).filter(any), min_size=1, max_size=4)


def test_by_hand() -> None:
    (scores,) = score_rankings([[True, False, True]])
    assert scores.average_precision == pytest.approx((1 + 2 / 3) / 2)
    assert (scores.recall_at_1, scores.recall_at_5, scores.success_at_1) == (0.5, 1, 1)
    assert scores.ndcg_at_10 == pytest.approx((1 + 1 / log2(4)) / (1 + 1 / log2(3)))


def test_relevant_documents_that_were_cut_off_count() -> None:
    (scores,) = score_rankings([[False, True]], [2])
    assert scores.average_precision == pytest.approx(1 / 4)
    assert (scores.recall_at_1, scores.recall_at_5, scores.success_at_1) == (0, 0.5, 0)
    assert scores.ndcg_at_10 == pytest.approx((1 / log2(3)) / (1 + 1 / log2(3)))
    assert score_rankings([[False]], [1])[0].average_precision == 0


def test_ten_and_more() -> None:
    (scores,) = score_rankings([[False] * 9 + [True] + [True]])
    assert (scores.recall_at_5, scores.recall_at_10) == (0, 0.5)
    assert scores.average_precision == pytest.approx((1 / 10 + 2 / 11) / 2)


@given(LABELS)
def test_each_list_is_measured_by_itself(labels: list[list[bool]]) -> None:
    scores = score_rankings(labels)
    assert scores == [score_rankings([row])[0] for row in labels]
    for row, score in zip(labels, scores, strict=True):
        hits = [rank for rank, label in enumerate(row, 1) if label]
        expected = sum(found / rank for found, rank in enumerate(hits, 1)) / len(hits)
        assert score.average_precision == pytest.approx(expected)
        assert (score.average_precision == pytest.approx(1)) == (row == sorted(row, reverse=True))


def test_figures() -> None:
    figures = ranking_figures([[True, False], [False, True]])
    assert (figures["records"], figures["map"], figures["recall_at_1"], figures["success_at_1"]) == (2, 0.75, 0.5, 0.5)
    low, high = figures["map_ci95"]
    assert 0.5 <= low < 0.75 < high <= 1
    assert ranking_figures([]) == {"records": 0} | dict.fromkeys(set(figures) - {"records", "map_ci95"})
