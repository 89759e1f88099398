"""How probable the gold answer is to the LLM: finer than Acc, which moves by whole answers.

L_LM (eq. 9) of a record's first answer, in nats a token, given the documents and their anchors: what training lowers,
measured on test records. Nothing is generated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from r2ag.evaluation.intervals import grid_interval, paired_grid_interval
from r2ag.evaluation.table import Table, with_interval
from r2ag.studies.base import Measure, Row
from r2ag.studies.outcome import Outcome
from r2ag.studies.study import Titled
from r2ag.types import RankedList, Record

if TYPE_CHECKING:
    from r2ag.pipeline import Pipeline

LOSS = "language_loss"
LONGEST_ANSWER = 64
"""Tokens of an answer that are measured; a longer one's beginning says what it says."""


def _start(pipeline: Pipeline, records: Sequence[Record], lists: Sequence[RankedList]) -> Row:
    reader = pipeline.reader

    @torch.inference_mode()
    def measure(place: int) -> dict[str, Any]:
        ranked = lists[place]
        prompt = reader.prompt(ranked.question, ranked.documents, LONGEST_ANSWER)
        target = reader.builder.target(records[place].answers[0])[:LONGEST_ANSWER]
        return {LOSS: float(reader.model.language_loss([prompt], reader.assess([ranked]).anchors, [target]))}

    return measure


LANGUAGE_LOSS = Measure(LOSS, _start, resumes=True)


def language_loss_table(outcome: Outcome, x: str, reference: str) -> Titled:
    """Means over seeds and records by data set, and how much more each row has than the `reference`."""
    datasets = outcome.datasets()
    head = (x, *(part for title in datasets for part in (title, f"− {reference}")))
    rows = [
        (row, *(cell for columns in datasets.values() for cell in _cells(_figures(outcome, row, reference, columns))))
        for row in outcome.measured
    ]
    return Titled("L_LM of the gold answers, nats a token: lower is better", Table(head, tuple(rows)))


def language_loss_figures(outcome: Outcome, reference: str) -> dict[str, Any]:
    """The table's figures by title and row."""
    return {
        f"{LOSS}, {title}": {row: _figures(outcome, row, reference, columns) for row in outcome.measured}
        for title, columns in outcome.datasets().items()
    }


def _cells(found: Mapping[str, Any]) -> tuple[str, str]:
    difference = with_interval(found["loss_diff"], found["loss_diff_ci95"], "+") if "loss_diff" in found else ""
    return with_interval(found["loss"], found["loss_ci95"]), difference


def _figures(outcome: Outcome, row: str, reference: str, columns: np.ndarray) -> dict[str, Any]:
    values = _values(outcome, row, columns)
    mean = grid_interval(values)
    found: dict[str, Any] = {"records": values.shape[1], "loss": mean.mean, "loss_ci95": mean.ends}
    if row != reference:
        difference = paired_grid_interval(values, _values(outcome, reference, columns))
        found |= {"loss_diff": difference.mean, "loss_diff_ci95": difference.ends}
    return found


def _values(outcome: Outcome, row: str, columns: np.ndarray) -> np.ndarray:
    """What was measured of one row's lists, (seeds, columns)."""
    return np.array([[line[LOSS] for line in lines] for lines in outcome.measured[row]])[:, columns]
