"""Figure 4: documents found by several retrievers.

Without training records one adapter describes what each of them finds, by its own encoder. With them each bi-encoder
has an adapter that was trained with it, as in the paper; BM25 and rerankers, which make no vectors, share the untuned
encoder's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from r2ag.adapter.adapter import Adapter
from r2ag.adapter.loading import PRETRAINED
from r2ag.models.wheels import DEFAULT_RETRIEVER
from r2ag.studies.base import Condition, Options, Plan, Step, training
from r2ag.studies.outcome import Outcome
from r2ag.studies.plots import acc_bars
from r2ag.studies.preparations import found_by
from r2ag.studies.study import Study, Titled
from r2ag.studies.tables import answer_tables, ranking_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS = ("rag", "rag-topn", "r2ag", "r2ag+prune")
DOCUMENTS = 5


def plan(options: Options) -> Plan:
    """Each finder's best K documents in its order."""
    return _with_training(options) if options.train else _with_one_adapter(options)


def _with_one_adapter(options: Options) -> Plan:
    encoder = Adapter.from_pretrained(options.adapter or PRETRAINED).config.encoder.name
    conditions = []
    for finder in options.over:
        condition = _condition(options, finder, options.adapter, options.seed)
        conditions.append(condition if finder == "adapter" else _finding(condition, finder, encoder))
    return Plan(tuple(conditions), (), ("", "rag"))


def _with_training(options: Options) -> Plan:
    steps: list[Step] = []
    conditions = []
    untuned = options.retriever or DEFAULT_RETRIEVER
    files = tuple((file, 1.0) for file, _ in options.train)
    for finder in options.over:
        for seed in options.all_seeds:
            if finder == "adapter":
                command = ("train-encoder", "--retriever", untuned, "--seed", str(seed))
                steps.append(Step(options.folder(f"encoder-seed{seed}"), command, files))
                step = training(options, "tuned", seed, "--encoder-lora", str(steps[-1].folder))
            elif finder in ("untuned", "bm25") or finder.startswith("rerank="):
                step = training(options, "untuned", seed)
            else:
                step = training(options, f"with {finder}", seed, "--retriever", finder)
            steps.append(step)
            condition = _condition(options, finder, str(step.folder), seed)
            conditions.append(
                _finding(condition, finder, untuned) if finder == "bm25" or finder.startswith("rerank=") else condition
            )
    return Plan(tuple(conditions), tuple(dict.fromkeys(steps)), ("", "rag"))


def _condition(options: Options, finder: str, adapter: str, seed: int) -> Condition:
    return Condition(finder, options.methods or METHODS, adapter, k=options.k or DOCUMENTS, seed=seed)


def _finding(condition: Condition, finder: str, encoder: str) -> Condition:
    return replace(condition, preparation=found_by(encoder if finder == "untuned" else finder), order="given")


def tables(outcome: Outcome) -> list[Titled]:
    """A table a data set, and how well each finder ranks."""
    return [*answer_tables(outcome, "finder"), ranking_table(outcome, "finder")]


def plots(outcome: Outcome) -> dict[str, Figure]:
    """Every finder's and method's Acc and F1."""
    return {name: acc_bars(outcome, name) for name in ("acc", "f1")}


STUDY = Study("Documents found by several retrievers", "finder", plan, tables, plots)
