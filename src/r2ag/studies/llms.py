"""Figure 5: R²AG with several LLMs, each with an adapter of its own from the same recipe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from r2ag.errors import InputError
from r2ag.studies.base import Condition, Options, Plan, Step, training
from r2ag.studies.outcome import Outcome
from r2ag.studies.plots import acc_bars
from r2ag.studies.study import Study, Titled
from r2ag.studies.tables import answer_tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS = ("rag", "rag-topn", "r2ag-permuted", "r2ag")
DOCUMENTS = 5


def plan(options: Options) -> Plan:
    """--over names LLMs to train for, or adapters that are there.

    Raises:
        InputError: it names neither, or --llm names one for all.
    """
    if options.llm is not None:
        raise InputError("The study llms takes its LLMs from --over; leave out --llm.")
    if options.train and not options.over:
        raise InputError("The study llms needs LLMs to train for, as in --over Qwen/Qwen3-0.6B,google/gemma-3-270m-it.")
    steps: list[Step] = []
    conditions = []
    for name in options.over or (options.adapter,):
        row = _row(name, options.over)
        for seed in options.all_seeds if options.train else [options.seed]:
            adapter = name
            if options.train:
                steps.append(training(options, f"for {row}", seed, "--llm", name))
                adapter = str(steps[-1].folder)
            methods = options.methods or METHODS
            conditions.append(Condition(row or "shipped", methods, adapter, k=options.k or DOCUMENTS, seed=seed))
    return Plan(tuple(conditions), tuple(steps), ("", "rag"))


def _row(name: str, names: Sequence[str]) -> str:
    """A folder's own name, where it is no other's too; a hub's name whole."""
    own = Path(name).name
    is_own = Path(name).is_dir() and [Path(other).name for other in names].count(own) == 1
    return own if is_own else name


def tables(outcome: Outcome) -> list[Titled]:
    """A table a data set."""
    return answer_tables(outcome, "LLM")


def plots(outcome: Outcome) -> dict[str, Figure]:
    """Every LLM's and method's Acc and F1."""
    return {name: acc_bars(outcome, name) for name in ("acc", "f1")}


STUDY = Study("R²AG with several LLMs", "LLM", plan, tables, plots)
