"""Table 3: what each part is worth, by adapters of one small recipe that lack it, or have one feature more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from r2ag.errors import InputError
from r2ag.studies.base import UNCHANGED, Condition, Options, Plan, Preparation, needs_training, training
from r2ag.studies.language_loss import LANGUAGE_LOSS, language_loss_figures, language_loss_table
from r2ag.studies.outcome import Outcome
from r2ag.studies.paper import ABLATION, known_set, notes
from r2ag.studies.plots import acc_bars
from r2ag.studies.preparations import with_finder_scores
from r2ag.studies.study import Study, Titled
from r2ag.studies.tables import Column, answer_tables, ranking_table
from r2ag.types import FEATURES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOCUMENTS = 5
FULL = "full"


@dataclass(frozen=True)
class Variant:
    """A recipe that differs in one thing."""

    row: str
    changes: tuple[str, ...] = ()
    scores: tuple[str, ...] = ()
    preparation: Preparation = field(default=UNCHANGED)


def variant(part: str) -> Variant:
    """What --over names.

    Raises:
        InputError: there is no such part.
    """
    if part in FEATURES:
        left = ",".join(name for name in FEATURES if name != part)
        return Variant(f"without {part}", ("--features", left))
    if part == "matching":
        return Variant("without matching", ("--matching-weight", "0", "--matching-epochs", "0"))
    if part == "positions":
        return Variant("without positions", ("--no-positions",))
    if part == "bm25" or part.startswith("rerank="):
        name = part.partition("=")[0]
        return Variant(f"with {name}", ("--features", ",".join((*FEATURES, name))), (part,), with_finder_scores([part]))
    named = ", ".join((*FEATURES, "matching", "positions", "bm25"))
    raise InputError(f"--over is {part!r} here; give any of {named} and rerank=MODEL.")


def plan(options: Options) -> Plan:
    """An adapter a variant and seed."""
    needs_training(options, "ablation")
    pairs = [
        (one, seed, training(options, one.row, seed, *one.changes, scores=one.scores))
        for one in (Variant(FULL), *map(variant, options.over))
        for seed in options.all_seeds
    ]
    conditions = [
        Condition(
            one.row,
            options.methods or ("r2ag",),
            str(step.folder),
            one.preparation,
            k=options.k or DOCUMENTS,
            seed=seed,
            measure=LANGUAGE_LOSS,
        )
        for one, seed, step in pairs
    ]
    said = notes([path.name.split(".")[0] for path in options.data])
    return Plan(tuple(conditions), tuple(step for *_, step in pairs), (FULL, "r2ag"), said)


def tables(outcome: Outcome) -> list[Titled]:
    """A table a data set, the gold answers' loss, which moves where no answer changes, and the lists."""
    return [
        *answer_tables(outcome, "variant", Column("paper's Acc", _paper)),
        language_loss_table(outcome, "variant", FULL),
        ranking_table(outcome, "variant"),
    ]


def figures(outcome: Outcome) -> Mapping[str, Any]:
    """The gold answers' loss, as in its table."""
    return language_loss_figures(outcome, FULL)


def _paper(row: str, method: str, title: str) -> str:
    part = row.removeprefix("without ")
    known = known_set(title) == "nq-10" and part in ABLATION
    return f"{ABLATION[part]:.4f}" if known else ""


def plots(outcome: Outcome) -> dict[str, Figure]:
    """Every variant's Acc and F1."""
    return {name: acc_bars(outcome, name) for name in ("acc", "f1")}


STUDY = Study("What each part is worth", "variant", plan, tables, plots, figures)
