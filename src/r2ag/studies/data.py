"""Data efficiency: Acc against the number of training records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from r2ag.studies.base import Condition, Options, Plan, needs_training, training
from r2ag.studies.language_loss import LANGUAGE_LOSS, language_loss_figures, language_loss_table
from r2ag.studies.outcome import Outcome
from r2ag.studies.plots import acc_lines
from r2ag.studies.study import Study, Titled
from r2ag.studies.tables import answer_tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS = ("rag", "rag-topn", "r2ag")
DOCUMENTS = 5


def plan(options: Options) -> Plan:
    """An adapter a number and seed; more records hold the fewer ones of the same seed."""
    needs_training(options, "data")
    pairs = [
        (count, seed, training(options, f"{count}-records", seed, "--limit", str(count)))
        for count in options.numbers()
        for seed in options.all_seeds
    ]
    conditions = [
        Condition(
            str(count),
            options.methods or METHODS,
            str(step.folder),
            k=options.k or DOCUMENTS,
            seed=seed,
            measure=LANGUAGE_LOSS,
        )
        for count, seed, step in pairs
    ]
    return Plan(tuple(conditions), tuple(step for *_, step in pairs), ("", "rag"))


def tables(outcome: Outcome) -> list[Titled]:
    """A table a data set, and the gold answers' loss."""
    return [
        *answer_tables(outcome, "training records"),
        language_loss_table(outcome, "training records", _fewest(outcome)),
    ]


def figures(outcome: Outcome) -> Mapping[str, Any]:
    """The gold answers' loss, as in its table."""
    return language_loss_figures(outcome, _fewest(outcome))


def _fewest(outcome: Outcome) -> str:
    return min(outcome.rows, key=int)


def plots(outcome: Outcome) -> dict[str, Figure]:
    """Acc and F1 over the number of training records."""
    places = {row: float(row) for row in outcome.rows}
    return {name: acc_lines(outcome, "training records", places, name) for name in ("acc", "f1")}


STUDY = Study("Acc against the number of training records", "training records", plan, tables, plots, figures)
