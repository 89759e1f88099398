"""Figure 3: features against learned tokens, which know a document's rank alone, over numbers of documents."""

from __future__ import annotations

from r2ag.studies.base import Condition, Options, Plan, Step, training, with_trained
from r2ag.studies.plots import score_lines
from r2ag.studies.study import Study
from r2ag.studies.tables import answer_tables, ranking_table

METHODS = ("rag", "r2ag-permuted", "r2ag")
TOKENS = "learned-tokens"


def plan(options: Options) -> Plan:
    """With training records both are trained alike; else learned tokens are named in --methods."""
    if not options.train:
        methods = options.methods or METHODS
        conditions = (Condition(str(k), methods, options.adapter, k=k, seed=options.seed) for k in options.numbers())
        return Plan.of((condition, []) for condition in conditions)
    return Plan.of(pair for seed in options.all_seeds for pair in _trained(options, seed))


def _trained(options: Options, seed: int) -> list[tuple[Condition, list[Step]]]:
    ours = training(options, "r2ag", seed)
    # In the encoder's order, since a rank says nothing in another.
    tokens = training(options, TOKENS, seed, "--method", TOKENS, "--order", "encoder")
    named = options.methods or (*METHODS, TOKENS)
    methods = tuple(with_trained(method, {TOKENS: str(tokens.folder)}) for method in named)
    steps = [ours] if methods == named else [ours, tokens]
    return [(Condition(str(k), methods, str(ours.folder), k=k, seed=seed), steps) for k in options.numbers()]


STUDY = Study(
    "documents",
    "Features against learned tokens",
    plan,
    tables=(answer_tables("documents"), ranking_table("documents")),
    plots=(score_lines("documents in the list"),),
)
