"""Robustness: gold documents moved down or taken out, distractors added, vectors noised, orders shuffled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from r2ag.encoder.encoder import rank_by_similarity
from r2ag.errors import InputError
from r2ag.evaluation.run import Order
from r2ag.studies.base import UNCHANGED, Condition, Options, Plan, Preparation, Setting
from r2ag.studies.outcome import Outcome
from r2ag.studies.plots import Plots, bars, lines
from r2ag.studies.preparations import MOST_DOCUMENTS, NO_GOLD, distractors, gold_at, noised
from r2ag.studies.study import Study
from r2ag.studies.tables import Column, answer_tables, ranking_table
from r2ag.types import RankedList

METHODS = ("rag", "rag-topn", "r2ag-permuted", "r2ag", "r2ag+prune", "r2ag+abstain")
AS_FOUND = "as found"
_AXES = {
    "gold": "place of the first gold document",
    "distractors": "distractors added",
    "noise": "noise, share of a vector's length",
}
_BY_CHANCE = ("distractors", "noise", "shuffled")
_NOTES = {
    "no-gold": "Answers without gold documents are right by what the LLM knows, or by what other documents say.",
    "gold": "Gold documents stand at the end of lists that are too short for the place.",
    "distractors": f"No list has more than {MOST_DOCUMENTS} documents, with its distractors.",
}


def plan(options: Options) -> Plan:
    """Lists as they are found, and changed in each way; what depends on chance is repeated with each seed."""
    kinds = {change: change.partition(":")[0] for change in options.over}
    conditions = [_condition(options, AS_FOUND, options.seed)]
    for change, kind in kinds.items():
        seeds = options.all_seeds if kind in _BY_CHANCE else [options.seed]
        conditions += [_condition(options, change, seed) for seed in seeds]
    notes = tuple(said for kind, said in _NOTES.items() if kind in kinds.values())
    return Plan(tuple(conditions), (), (AS_FOUND, "rag"), notes)


def _condition(options: Options, change: str, seed: int) -> Condition:
    # The first K documents are changed, so that nothing that is moved or added is cut off.
    changed = _first(options.k, preparation(change))
    order: Order = "shuffled" if change == "shuffled" else "encoder" if change == AS_FOUND else "given"
    return Condition(change, options.methods or METHODS, options.adapter, changed, order, seed=seed)


def preparation(change: str) -> Preparation:
    """The preparation for one value of --over.

    Raises:
        InputError: there is no such change.
    """
    kind, _, argument = change.partition(":")
    if change in (AS_FOUND, "shuffled"):
        return UNCHANGED
    if change == "no-gold":
        return NO_GOLD
    if kind in ("gold", "distractors") and argument.isdecimal() and int(argument) > 0:
        return gold_at(int(argument)) if kind == "gold" else distractors(int(argument))
    if kind == "noise" and argument.replace(".", "", 1).isdecimal() and float(argument) > 0:
        return noised(float(argument))
    raise InputError(f"--over is {change!r} here; give any of gold:3, no-gold, distractors:5, noise:0.5 and shuffled.")


def _first(k: int | None, then: Preparation) -> Preparation:
    """The K nearest documents, changed."""
    if k is None:
        return then

    def apply(lists: Sequence[RankedList], setting: Setting) -> list[RankedList]:
        ranked = [rank_by_similarity(one) for one in lists]
        return then.apply([one.reordered(list(range(min(k, len(one))))) for one in ranked], setting)

    return replace(then, apply=apply)


def _abstained(outcome: Outcome, row: str, method: str, title: str) -> str:
    return f"{outcome.mean(row, method, 'abstained', outcome.datasets()[title]):.3f}"


def plots(outcome: Outcome) -> Plots:
    """A curve a kind of change, from the lists as they are found where that is 0 of it; the others as bars."""
    drawn = {}
    for kind, axis in _AXES.items():
        places: dict[str, float] = {AS_FOUND: 0.0} if kind != "gold" else {}
        places |= {row: float(row.partition(":")[2]) for row in outcome.rows if row.startswith(f"{kind}:")}
        if len(places) > 1:
            drawn[kind] = lines(outcome, axis, places)
    others = {row: methods for row, methods in outcome.rows.items() if ":" not in row}
    return drawn | {"other": bars(replace(outcome, rows=others))}


STUDY = Study(
    "robustness",
    "Lists that are worse than they should be",
    plan,
    tables=(answer_tables("lists", Column("no answer", _abstained)), ranking_table("lists")),
    plots=(plots,),
)
