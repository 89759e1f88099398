"""Figure 3: features against learned tokens that know a document's rank alone, over numbers of documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from r2ag.studies.base import Condition, Options, Plan, Step, training, with_trained
from r2ag.studies.outcome import Outcome
from r2ag.studies.plots import acc_lines
from r2ag.studies.study import Study, Titled
from r2ag.studies.tables import answer_tables, ranking_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS = ("rag", "r2ag-permuted", "r2ag")
TOKENS = "learned-tokens"


def plan(options: Options) -> Plan:
    """With training records both are trained alike; else learned tokens are named in --methods."""
    if options.train:
        trained = [_trained(options, seed) for seed in options.all_seeds]
        steps = tuple(step for _, steps in trained for step in steps)
        return Plan(tuple(condition for conditions, _ in trained for condition in conditions), steps, ("", "rag"))
    return Plan(_conditions(options, options.methods or METHODS, options.adapter, options.seed), (), ("", "rag"))


def _trained(options: Options, seed: int) -> tuple[tuple[Condition, ...], list[Step]]:
    ours = training(options, "r2ag", seed)
    # In the encoder's order, since a rank says nothing in another.
    tokens = training(options, TOKENS, seed, "--method", TOKENS, "--order", "encoder")
    named = options.methods or (*METHODS, TOKENS)
    methods = tuple(with_trained(method, {TOKENS: str(tokens.folder)}) for method in named)
    steps = [ours] if methods == named else [ours, tokens]
    return _conditions(options, methods, str(ours.folder), seed), steps


def _conditions(options: Options, methods: tuple[str, ...], adapter: str, seed: int) -> tuple[Condition, ...]:
    return tuple(Condition(str(k), methods, adapter, k=k, seed=seed) for k in options.numbers())


def tables(outcome: Outcome) -> list[Titled]:
    """A table a data set."""
    return [*answer_tables(outcome, "documents"), ranking_table(outcome, "documents")]


def plots(outcome: Outcome) -> dict[str, Figure]:
    """Acc and F1 over numbers of documents."""
    places = {row: float(row) for row in outcome.rows}
    return {name: acc_lines(outcome, "documents in the list", places, name) for name in ("acc", "f1")}


STUDY = Study("Features against learned tokens", "documents", plan, tables, plots)
