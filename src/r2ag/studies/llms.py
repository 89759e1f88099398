"""Figure 5: R²AG with several LLMs, each with an adapter of its own from the same recipe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from r2ag.errors import InputError
from r2ag.studies.base import Condition, Options, Plan, Step, training
from r2ag.studies.plots import score_bars
from r2ag.studies.study import Study
from r2ag.studies.tables import answer_tables

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
    return Plan.of(_trained(options) if options.train else _given(options))


def _trained(options: Options) -> Iterator[tuple[Condition, list[Step]]]:
    for name in options.over:
        row = _row(name, options.over)
        for seed in options.all_seeds:
            step = training(options, f"for {row}", seed, "--llm", name)
            yield options.condition(row, METHODS, str(step.folder), DOCUMENTS, seed=seed), [step]


def _given(options: Options) -> Iterator[tuple[Condition, list[Step]]]:
    for name in options.over or (options.adapter,):
        yield options.condition(_row(name, options.over) or "shipped", METHODS, name, DOCUMENTS), []


def _row(name: str, names: Sequence[str]) -> str:
    """A folder's own name, where no other has it too; a hub's name whole."""
    own = Path(name).name
    is_own = Path(name).is_dir() and [Path(other).name for other in names].count(own) == 1
    return own if is_own else name


STUDY = Study("llms", "R²AG with several LLMs", plan, tables=(answer_tables("LLM"),), plots=(score_bars,))
