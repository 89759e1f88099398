"""Figure 3: features against learned tokens that know a document's rank alone, over numbers of documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from r2ag.studies.base import Condition, Options, Plan, Step, Study, Titled, training
from r2ag.studies.outcome import Outcome
from r2ag.studies.plots import acc_lines
from r2ag.studies.tables import answer_tables, ranking_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS = ("rag", "r2ag-permuted", "r2ag")


def plan(options: Options) -> Plan:
    """With training records both are trained alike; else learned tokens are named in --methods."""
    steps: list[Step] = []
    conditions = []
    for seed in options.all_seeds if options.train else [options.seed]:
        adapter, methods = options.adapter, options.methods or METHODS
        if options.train:
            ours = training(options, "r2ag", seed)
            # In the encoder's order, since a rank says nothing in another.
            tokens = training(options, "learned-tokens", seed, "--method", "learned-tokens", "--order", "encoder")
            steps += [ours, tokens]
            adapter, methods = str(ours.folder), options.methods or (*METHODS, f"learned-tokens={tokens.folder}")
        conditions += [Condition(str(k), methods, adapter, k=k, seed=seed) for k in options.numbers()]
    return Plan(tuple(conditions), tuple(steps), ("", "rag"))


def tables(outcome: Outcome) -> list[Titled]:
    """A table a data set."""
    return [*answer_tables(outcome, "documents"), ranking_table(outcome, "documents")]


def plots(outcome: Outcome) -> dict[str, Figure]:
    """Acc and F1 over numbers of documents."""
    places = {row: float(row) for row in outcome.rows}
    return {name: acc_lines(outcome, "documents in the list", places, name) for name in ("acc", "f1")}


STUDY = Study("Features against learned tokens", "documents", plan, tables, plots)
