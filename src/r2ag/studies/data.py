"""Data efficiency: Acc against the number of training records."""

from __future__ import annotations

from collections.abc import Iterator

from r2ag.studies.base import Condition, Options, Plan, Step, training
from r2ag.studies.language_loss import LANGUAGE_LOSS, LanguageLoss
from r2ag.studies.plots import score_lines
from r2ag.studies.study import Study
from r2ag.studies.tables import answer_tables

METHODS = ("rag", "rag-topn", "r2ag")
DOCUMENTS = 5
ROWS = "training records"


def _planned(options: Options) -> Iterator[tuple[Condition, list[Step]]]:
    """An adapter a number and seed; more records hold the fewer ones of the same seed."""
    for count in map(str, options.numbers()):
        for seed in options.all_seeds:
            step = training(options, f"{count}-records", seed, "--limit", count)
            more = {"seed": seed, "measure": LANGUAGE_LOSS}
            yield options.condition(count, METHODS, str(step.folder), DOCUMENTS, **more), [step]


_losses = LanguageLoss(ROWS, lambda outcome: min(outcome.rows, key=int))

STUDY = Study(
    "data",
    "Acc against the number of training records",
    lambda options: Plan.of(_planned(options)),
    tables=(answer_tables(ROWS), _losses.tables),
    plots=(score_lines(ROWS),),
    figures=_losses.figures,
    trains=True,
)
