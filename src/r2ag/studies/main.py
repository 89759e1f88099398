"""Tables 1 and 2: every method on the same records, with the retriever tuned on such questions and as it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from r2ag.errors import InputError
from r2ag.evaluation.methods import METHODS, Spec
from r2ag.studies.base import Condition, Options, Plan, Step, training, with_trained
from r2ag.studies.models import adapter_folder
from r2ag.studies.outcome import Outcome
from r2ag.studies.paper import MAP, known_set, main_figures, notes
from r2ag.studies.plots import acc_bars
from r2ag.studies.study import Study, Titled
from r2ag.studies.tables import Column, answer_tables, ranking_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FROZEN = ("rag", "rag-topn", "cot", "recomp", "longllmlingua", "crag", "self-rag-prompted:5", "r2ag-words")
OURS = ("r2ag-permuted", "r2ag", "r2ag+prune")
FINE_TUNED = ("self-rag", "raft", "r2ag+raft")
TRAINED: dict[str, tuple[str, ...]] = {
    "r2ag": (),
    "learned-tokens": ("--method", "learned-tokens", "--order", "encoder"),
    "xrag": ("--method", "xrag"),
    "raft": ("--method", "raft"),
    "r2ag+raft": ("--lora",),
}
"""Methods that have weights, and the options of `r2ag train` that make these."""
CHOSEN_ON = 28  # records of each file, for plain RAG's prompt and numbers of documents

UNTUNED_FEATURES = (
    "Untuned: the adapter's encoder without its LoRA orders the documents and serves all methods but R²AG, whose "
    "features come from the encoder that its adapter was trained with; with --train it gets an adapter of its own."
)


def plan(options: Options) -> Plan:
    """With training records what methods need is trained, else the adapter that is given answers in both regimes."""
    for regime in options.over:
        if regime not in ("tuned", "untuned"):
            raise InputError(f"--over is {regime!r} here; give tuned, untuned or both.")
    said = notes([path.name.split(".")[0] for path in options.data])
    if options.train:
        repeated = [_trained(options, regime, seed) for regime in options.over for seed in options.all_seeds]
        conditions = tuple(condition for condition, _ in repeated)
        steps = tuple(dict.fromkeys(step for _, steps in repeated for step in steps))
        return Plan(conditions, steps, ("", "rag"), said)
    given = tuple(_given(options, regime) for regime in options.over)
    return Plan(given, (), ("", "rag"), (*said, *([UNTUNED_FEATURES] if "untuned" in options.over else [])))


def _given(options: Options, regime: str) -> Condition:
    untuned = regime == "untuned"
    methods = options.methods or (*_frozen(), *OURS)
    if untuned:
        folder = str(adapter_folder(options.adapter))
        methods = tuple(_with_folder(method, folder) for method in methods if Spec.parse(method).base != "crag")
    return Condition(regime, methods, options.adapter, k=options.k, seed=options.seed, untuned=untuned)


def _with_folder(method: str, folder: str) -> str:
    """Named, the adapter describes the lists by its own encoder."""
    spec = Spec.parse(method)
    reads_features = METHODS.get(spec.base) in ("r2ag", "r2ag_words") and not spec.folder
    return str(replace(spec, folder=folder)) if reads_features else method


def _frozen() -> Iterator[str]:
    """The frozen LLM's other methods, whose packages are there."""
    return (name for name in FROZEN if name != "longllmlingua" or find_spec("llmlingua") is not None)


def _trained(options: Options, regime: str, seed: int) -> tuple[Condition, list[Step]]:
    files = tuple((file, 1.0) for file, _ in options.train)
    steps, lora = [], tuple[str, ...]()
    if regime == "tuned":
        retriever = ("--retriever", options.retriever) if options.retriever else ()
        command = ("train-encoder", *retriever, "--seed", str(seed))
        steps.append(Step(options.folder(f"encoder-seed{seed}"), command, files))
        lora = ("--encoder-lora", str(steps[0].folder))
    methods = options.methods or (*_frozen(), *OURS, *(kind for kind in TRAINED if kind != "r2ag"))
    named = {Spec.parse(method).base for method in methods if not Spec.parse(method).folder}
    # The condition's own adapter is R²AG's, which may answer nothing and yet tell the relevance to others.
    kinds = [kind for kind in TRAINED if kind == "r2ag" or kind in named]
    made = {kind: training(options, f"{regime}-{kind}", seed, *lora, *TRAINED[kind]) for kind in kinds}
    chosen = options.folder(f"{regime}-r2ag-chosen-seed{seed}")
    answers = chosen.with_name(f"{chosen.name}-answers")
    settings = {"seed": seed, "limit": CHOSEN_ON, "batch-size": options.batch_size}
    settings |= {"max-new-tokens": options.max_new_tokens}
    told = (part for name, value in settings.items() for part in (f"--{name}", str(value)))
    choice = ("choose", "--adapter", str(made["r2ag"].folder), "--answers", str(answers), *told)
    steps += [*made.values(), Step(chosen, choice, files)]
    folders = {kind: str(made[kind].folder) for kind in kinds if kind != "r2ag"}
    methods = tuple(with_trained(method, folders) for method in methods)
    return Condition(regime, methods, str(chosen), k=options.k, seed=seed), steps


def tables(outcome: Outcome) -> list[Titled]:
    """A table a data set, and the retrievers."""
    group = Column(
        "LLM", lambda row, method, title: "fine-tuned" if Spec.parse(method).base in FINE_TUNED else "frozen"
    )
    paper = Column("paper", _paper)
    in_paper = Column("paper, by data set", lambda row, method, title: _paper_map(outcome) if row == "tuned" else "")
    return [*answer_tables(outcome, "retriever", group, paper), ranking_table(outcome, "retriever", in_paper)]


def _paper(row: str, method: str, title: str) -> str:
    """The paper's main results rest on tuned retrievers."""
    figures = main_figures(Spec.parse(method).base, title) if row == "tuned" and ":" not in method else None
    return "" if figures is None else str(figures)


def _paper_map(outcome: Outcome) -> str:
    known = {title: known_set(title) for title in outcome.datasets()}
    return ", ".join(f"{title} {MAP[name]:.4f}" for title, name in known.items() if name)


def plots(outcome: Outcome) -> dict[str, Figure]:
    """Every method's Acc and F1 with intervals."""
    return {name: acc_bars(outcome, name) for name in ("acc", "f1")}


STUDY = Study("Every method on the same records", "retriever", plan, tables, plots)
