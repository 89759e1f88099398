"""Tables that several studies share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from r2ag.evaluation.table import Table, with_interval
from r2ag.studies.outcome import Outcome
from r2ag.studies.study import Titled


@dataclass(frozen=True)
class Column:
    """One more column: its head, and what stands in it for a row, a method and a data set's title."""

    head: str
    cell: Callable[[str, str, str], str]


def answer_tables(outcome: Outcome, x: str, *more: Column) -> list[Titled]:
    """A table a data set: every row and method with intervals, and how far it is from what it is compared with."""
    return [
        Titled(f"{title} ({len(columns)} records)", _answers(outcome, title, columns, x, more))
        for title, columns in outcome.datasets().items()
    ]


def _answers(outcome: Outcome, title: str, columns: np.ndarray, x: str, more: tuple[Column, ...]) -> Table:
    compared = _compared(outcome)
    sides = [f"Acc − {compared}", f"F1 − {compared}"] if compared else []
    costs = ("documents", "prompt tokens", "s a question")
    head = (x, "method", "Acc", "F1", "Rouge-L", *sides, "answer words", *costs, *(column.head for column in more))
    rows = []
    for row, methods in outcome.rows.items():
        for method in methods:
            found = [outcome.interval(row, method, name, columns) for name in ("acc", "f1", "rouge_l")]
            cells = [with_interval(one.mean, one.ends) for one in found]
            if compared:
                cells += _differences(outcome, row, method, columns)
            cells += [
                f"{outcome.mean(row, method, 'answer_words', columns):.1f}",
                f"{outcome.mean(row, method, 'documents_read', columns):.1f}",
                f"{outcome.mean(row, method, 'prompt_tokens', columns):.0f}",
                f"{outcome.mean(row, method, 'seconds', columns):.2f}",
            ]
            rows.append((row, method, *cells, *(column.cell(row, method, title) for column in more)))
    return Table(head, tuple(rows))


def _differences(outcome: Outcome, row: str, method: str, columns: np.ndarray) -> list[str]:
    other = outcome.reference(row, method)
    if other is None:
        return ["", ""]
    found = [outcome.difference((row, method), other, name, columns) for name in ("acc", "f1")]
    return [with_interval(one.mean, one.ends, "+") for one in found]


def _compared(outcome: Outcome) -> str:
    """What others are compared with, in words."""
    return ", ".join(part for part in outcome.compared or () if part)


def ranking_table(outcome: Outcome, x: str, *more: Column) -> Titled:
    """Mean average precision of each row's lists, by data set."""
    datasets = outcome.datasets()
    rows = []
    for row in outcome.ranking:
        found = [outcome.map(row, columns) for columns in datasets.values()]
        cells = ("" if one is None else with_interval(one.mean, one.ends) for one in found)
        rows.append((row, *cells, *(column.cell(row, "", "") for column in more)))
    return Titled("MAP of the lists as they were read", Table((x, *datasets, *(c.head for c in more)), tuple(rows)))
