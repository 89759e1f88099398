"""How probable the gold answer is to the LLM: finer than Acc, which moves by whole answers.

L_LM (eq. 9) of a record's first answer, in nats a token, given the documents and their anchors: what training lowers,
measured on test records. Nothing is generated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from r2ag.evaluation.intervals import Interval, grid_interval, paired_grid_interval
from r2ag.evaluation.table import Table
from r2ag.pipeline import Pipeline
from r2ag.studies.base import Line, Measure
from r2ag.studies.outcome import Outcome, with_ends
from r2ag.studies.study import Titled
from r2ag.studies.tables import cell
from r2ag.types import RankedList, Record

LOSS = "language_loss"
LONGEST_ANSWER = 64
"""Tokens of an answer that are measured; of a longer one, the first."""


@torch.inference_mode()
def _losses(pipeline: Pipeline, records: Sequence[Record], lists: Sequence[RankedList]) -> Iterator[Line]:
    reader = pipeline.reader
    for record, ranked in zip(records, lists, strict=True):
        prompt = reader.prompt(ranked.question, ranked.documents, LONGEST_ANSWER)
        target = reader.builder.target(record.answers[0])[:LONGEST_ANSWER]
        yield {LOSS: float(reader.model.language_loss([prompt], reader.assess([ranked]).anchors, [target]))}


LANGUAGE_LOSS = Measure(LOSS, _losses, resumes=True)


@dataclass(frozen=True)
class LanguageLoss:
    """The loss of each row beside that of a reference.

    Args:
        x: what the rows are called.
        reference: the row that others are compared with.
    """

    x: str
    reference: Callable[[Outcome], str]

    def tables(self, outcome: Outcome) -> list[Titled]:
        """Means over seeds and records by data set, and how much more each row has than the reference."""
        datasets = outcome.datasets()
        head = (self.x, *(part for title in datasets for part in (title, f"− {self.reference(outcome)}")))
        rows = []
        for row in outcome.measured:
            found = [self._intervals(outcome, row, columns) for columns in datasets.values()]
            rows.append(
                (row, *(part for one in found for part in (cell(one["loss"]), cell(one.get("loss_diff"), "+"))))
            )
        return [Titled("L_LM of the gold answers, nats a token: lower is better", Table(head, tuple(rows)))]

    def figures(self, outcome: Outcome) -> dict[str, Any]:
        """The table's figures by title and row."""
        return {
            f"{LOSS}, {title}": {
                row: {"records": len(columns)} | with_ends(self._intervals(outcome, row, columns))
                for row in outcome.measured
            }
            for title, columns in outcome.datasets().items()
        }

    def _intervals(self, outcome: Outcome, row: str, columns: np.ndarray) -> dict[str, Interval]:
        values, reference = outcome.measurements(row, LOSS, columns), self.reference(outcome)
        found = {"loss": grid_interval(values)}
        if row != reference:
            found["loss_diff"] = paired_grid_interval(values, outcome.measurements(reference, LOSS, columns))
        return found
