from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from r2ag.studies.base import Options, Plan
from r2ag.studies.outcome import COSTS, SCORES, Outcome
from r2ag.studies.pruning import ROW, at_equal_tokens, tables
from r2ag.types import Record


def outcome(methods: dict[str, tuple[float, list[float]]]) -> Outcome:
    """Methods by mean prompt tokens and Acc of each record."""
    rows = {
        name: {one: np.array([acc]) for one in (*SCORES, *COSTS)} | {"prompt_tokens": np.full((1, len(acc)), tokens)}
        for name, (tokens, acc) in methods.items()
    }
    records = tuple(Record(str(i), "?", ("a",), (), "some") for i in range(4))
    options = Options((), Path(), ())
    return Outcome(options, Plan((), (), (ROW, "rag")), records, {ROW: rows}, {ROW: np.ones((1, 4))}, {}, {})


def test_a_mixture_of_neighbours_costs_as_much() -> None:
    found = outcome(
        {
            "rag": (1000, [1, 1, 1, 1]),
            "rag-topn:1": (200, [0, 0, 0, 0]),
            "rag-topn:3": (600, [1, 0, 1, 0]),
            "r2ag+prune:0.1": (300, [1, 1, 0, 0]),
            "r2ag+top:1": (100, [1, 0, 0, 0]),
            "r2ag": (1100, [0, 0, 0, 0]),
        }
    )
    equal = {one.method: one for one in at_equal_tokens(found, np.arange(4))}
    assert {one.family for one in equal.values()} == {"rag-topn"}  # no cut-off was tried
    # 300 tokens: a quarter of the way from 200 (Acc 0) to 600 (Acc 0.5), so 0.125.
    assert equal["r2ag+prune:0.1"].acc.mean == pytest.approx(0.5 - 0.125)
    assert equal["r2ag+prune:0.1"].share == pytest.approx(0.3)
    # Cheaper than everything, dearer than everything: the nearest end.
    assert equal["r2ag+top:1"].acc.mean == pytest.approx(0.25)
    assert equal["r2ag"].acc.mean == pytest.approx(-1)


def test_differences_know_what_they_are_compared_with() -> None:
    found = outcome({"rag": (10, [1, 0, 0, 0]), "r2ag": (10, [1, 1, 0, 0])})
    assert found.reference(ROW, "rag") is None
    assert found.reference(ROW, "r2ag") == (ROW, "rag")
    assert found.difference((ROW, "r2ag"), (ROW, "rag"), "acc").mean == pytest.approx(0.25)
    assert found.difference((ROW, "r2ag"), (ROW, "r2ag"), "acc").ends == [0, 0]


def test_without_plain_rag_the_first_method_is_what_others_are_compared_with() -> None:
    found = outcome({"rag-topn:1": (10, [1, 0, 0, 0]), "r2ag": (10, [1, 1, 0, 0])})
    assert found.reference(ROW, "rag-topn:1") is None
    assert found.reference(ROW, "r2ag") == found.compared == (ROW, "rag-topn:1")
    (equal,) = at_equal_tokens(found, np.arange(4))
    assert equal.share is None
    (titled,) = tables(found)
    assert "nan" not in str(titled.table)
