"""Tables that several studies share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from r2ag.evaluation.intervals import Interval
from r2ag.evaluation.table import Table, with_interval
from r2ag.studies.outcome import Outcome, counted
from r2ag.studies.study import Titled

Tables = Callable[[Outcome], list[Titled]]


@dataclass(frozen=True)
class Column:
    """One more column: its head, and its cell for an outcome, a row, a method and a data set's title."""

    head: str
    cell: Callable[[Outcome, str, str, str], str]


def cell(interval: Interval | None, sign: str = "") -> str:
    """A mean with the ends of its interval, or nothing; a `sign` of "+" is for differences."""
    return "" if interval is None else with_interval(interval.mean, interval.ends, sign)


def answer_tables(x: str, *more: Column) -> Tables:
    """A table a data set: rows and methods with intervals, and their differences to what they are compared with.

    Args:
        x: what the rows are called.
    """
    return lambda outcome: [
        Titled(counted(title, len(columns)), _answers(outcome, title, columns, x, more))
        for title, columns in outcome.datasets().items()
    ]


def _answers(outcome: Outcome, title: str, columns: np.ndarray, x: str, more: tuple[Column, ...]) -> Table:
    compared = ", ".join(part for part in outcome.compared or () if part)
    sides = [f"Acc − {compared}", f"F1 − {compared}"] if compared else []
    costs = {"answer_words": 1, "documents_read": 1, "prompt_tokens": 0, "seconds": 2}
    heads = ("answer words", "documents", "prompt tokens", "s a question", *(column.head for column in more))
    rows = [
        (
            row,
            method,
            *(cell(outcome.interval(row, method, name, columns)) for name in ("acc", "f1", "rouge_l")),
            *(_differences(outcome, row, method, columns) if compared else ()),
            *(f"{outcome.mean(row, method, name, columns):.{digits}f}" for name, digits in costs.items()),
            *(column.cell(outcome, row, method, title) for column in more),
        )
        for row, methods in outcome.rows.items()
        for method in methods
    ]
    return Table((x, "method", "Acc", "F1", "Rouge-L", *sides, *heads), tuple(rows))


def _differences(outcome: Outcome, row: str, method: str, columns: np.ndarray) -> list[str]:
    other = outcome.reference(row, method)
    if other is None:
        return ["", ""]
    return [cell(outcome.difference((row, method), other, name, columns), "+") for name in ("acc", "f1")]


def ranking_table(x: str, *more: Column) -> Tables:
    """Mean average precision of each row's lists, by data set."""

    def table(outcome: Outcome) -> list[Titled]:
        datasets = outcome.datasets()
        head = (x, *datasets, *(column.head for column in more))
        rows = tuple(
            (
                row,
                *(cell(outcome.map(row, columns)) for columns in datasets.values()),
                *(column.cell(outcome, row, "", "") for column in more),
            )
            for row in outcome.ranking
        )
        return [Titled("MAP of the lists as they were read", Table(head, rows))]

    return table
