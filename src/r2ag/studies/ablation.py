"""Table 3: what each part is worth, by adapters of one small recipe that lack it, or have one feature more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from r2ag.errors import InputError
from r2ag.studies.base import UNCHANGED, Condition, Options, Plan, Preparation, Step, training
from r2ag.studies.language_loss import LANGUAGE_LOSS, LanguageLoss
from r2ag.studies.outcome import Outcome
from r2ag.studies.paper import ABLATION, known_set, notes
from r2ag.studies.plots import score_bars
from r2ag.studies.preparations import with_finder_scores
from r2ag.studies.study import Study
from r2ag.studies.tables import Column, answer_tables, ranking_table
from r2ag.types import FEATURES

DOCUMENTS = 5
FULL = "full"


@dataclass(frozen=True)
class Variant:
    """A recipe that differs in one thing."""

    row: str
    changes: tuple[str, ...] = ()
    finder: str = ""
    preparation: Preparation = field(default=UNCHANGED)


def variant(part: str) -> Variant:
    """The variant for one value of --over.

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
        return Variant(f"with {name}", ("--features", ",".join((*FEATURES, name))), part, with_finder_scores(part))
    named = ", ".join((*FEATURES, "matching", "positions", "bm25"))
    raise InputError(f"--over is {part!r} here; give any of {named} and rerank=MODEL.")


def variants(options: Options, named: Callable[[str], Variant], *changes: str) -> Iterator[tuple[Variant, int, Step]]:
    """The whole method and each variant with each seed, and the training of its adapter."""
    for one in (Variant(FULL), *map(named, options.over)):
        for seed in options.all_seeds:
            yield one, seed, training(options, one.row, seed, *one.changes, *changes, finder=one.finder)


def _planned(options: Options) -> Iterator[tuple[Condition, list[Step]]]:
    for one, seed, step in variants(options, variant):
        more = {"preparation": one.preparation, "seed": seed, "measure": LANGUAGE_LOSS}
        yield options.condition(one.row, ("r2ag",), str(step.folder), DOCUMENTS, **more), [step]


def _paper(outcome: Outcome, row: str, method: str, title: str) -> str:
    part = row.removeprefix("without ")
    return f"{ABLATION[part]:.4f}" if known_set(title) == "nq-10" and part in ABLATION else ""


_losses = LanguageLoss("variant", lambda outcome: FULL)

STUDY = Study(
    "ablation",
    "What each part is worth",
    lambda options: Plan.of(_planned(options), (FULL, "r2ag"), notes(options.data)),
    tables=(answer_tables("variant", Column("paper's Acc", _paper)), _losses.tables, ranking_table("variant")),
    plots=(score_bars,),
    figures=_losses.figures,
    trains=True,
)
