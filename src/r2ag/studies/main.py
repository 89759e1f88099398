"""Tables 1 and 2: every method on the same records, with the retriever tuned on such questions and as it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from r2ag.adapter.adapter import Adapter
from r2ag.adapter.loading import PRETRAINED
from r2ag.errors import InputError
from r2ag.evaluation.methods import METHODS, Spec
from r2ag.studies.base import PLAIN_RAG, Condition, Options, Plan, Step, encoder_training, training, with_trained
from r2ag.studies.outcome import Outcome
from r2ag.studies.paper import MAP, known_set, main_figures, notes
from r2ag.studies.plots import score_bars
from r2ag.studies.study import Study
from r2ag.studies.tables import Column, answer_tables, ranking_table

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
"""Methods that have weights, with the options of `r2ag train` that make these."""
CHOSEN_ON = 28  # records of each file, for plain RAG's prompt and numbers of documents
UNTUNED_FEATURES = (
    "Untuned: the adapter's encoder without its LoRA orders the documents and serves all methods but R²AG, whose "
    "features come from the encoder that its adapter was trained with; with --train it gets an adapter of its own."
)


def plan(options: Options) -> Plan:
    """With training records the methods' weights are trained, else the adapter answers in both regimes."""
    for regime in options.over:
        if regime not in ("tuned", "untuned"):
            raise InputError(f"--over is {regime!r} here; give tuned, untuned or both.")
    said = notes(options.data)
    if options.train:
        return Plan.of((_trained(options, r, seed) for r in options.over for seed in options.all_seeds), notes=said)
    said += (UNTUNED_FEATURES,) if "untuned" in options.over else ()
    return Plan(tuple(_given(options, regime) for regime in options.over), (), PLAIN_RAG, said)


def _given(options: Options, regime: str) -> Condition:
    condition = options.condition(regime, (*_frozen(), *OURS), untuned=regime == "untuned")
    if not condition.untuned:
        return condition
    # R²AG's methods read features. An adapter that a method names describes the lists by its own encoder.
    folder = str(Adapter.from_pretrained(options.adapter or PRETRAINED).folder)
    readers = {name: folder for name in METHODS if name.startswith("r2ag")}
    methods = (with_trained(method, readers) for method in condition.methods if Spec.parse(method).base != "crag")
    return replace(condition, methods=tuple(methods))


def _frozen() -> Iterator[str]:
    """The frozen LLM's other methods, whose packages are there."""
    return (name for name in FROZEN if name != "longllmlingua" or find_spec("llmlingua") is not None)


def _trained(options: Options, regime: str, seed: int) -> tuple[Condition, list[Step]]:
    methods = options.methods or (*_frozen(), *OURS, *(kind for kind in TRAINED if kind != "r2ag"))
    steps, lora = [], tuple[str, ...]()
    if regime == "tuned":
        steps.append(encoder_training(options, seed, options.retriever))
        lora = ("--encoder-lora", str(steps[0].folder))
    named = {Spec.parse(method).base for method in methods if not Spec.parse(method).folder}
    # The condition's own adapter is R²AG's, which gives the relevance to others even where it answers nothing.
    kinds = [kind for kind in TRAINED if kind == "r2ag" or kind in named]
    made = {kind: training(options, f"{regime}-{kind}", seed, *lora, *TRAINED[kind]) for kind in kinds}
    chosen = _choice(options, made["r2ag"], options.folder(f"{regime}-r2ag-chosen-seed{seed}"), seed)
    folders = {kind: str(step.folder) for kind, step in made.items() if kind != "r2ag"}
    methods = tuple(with_trained(method, folders) for method in methods)
    condition = Condition(regime, methods, str(chosen.folder), k=options.k, seed=seed)
    return condition, [*steps, *made.values(), chosen]


def _choice(options: Options, trained: Step, folder: Path, seed: int) -> Step:
    """An `r2ag choose` of plain RAG's prompt and number of documents, on training records that are held back."""
    answers = folder.with_name(f"{folder.name}-answers")
    settings = {"seed": seed, "limit": CHOSEN_ON, "batch-size": options.batch_size}
    settings |= {"max-new-tokens": options.max_new_tokens}
    told = (part for name, value in settings.items() for part in (f"--{name}", str(value)))
    command = ("choose", "--adapter", str(trained.folder), "--answers", str(answers), *told)
    return Step(folder, command, tuple((file, 1.0) for file, _ in options.train))


def _tuning(outcome: Outcome, row: str, method: str, title: str) -> str:
    return "fine-tuned" if Spec.parse(method).base in FINE_TUNED else "frozen"


def _paper(outcome: Outcome, row: str, method: str, title: str) -> str:
    """The paper's main results rest on tuned retrievers."""
    figures = main_figures(Spec.parse(method).base, title) if row == "tuned" and ":" not in method else None
    return "" if figures is None else str(figures)


def _paper_map(outcome: Outcome, row: str, method: str, title: str) -> str:
    known = {dataset: known_set(dataset) for dataset in outcome.datasets()}
    return ", ".join(f"{dataset} {MAP[name]:.4f}" for dataset, name in known.items() if name and row == "tuned")


STUDY = Study(
    "main",
    "Every method on the same records",
    plan,
    tables=(
        answer_tables("retriever", Column("LLM", _tuning), Column("paper", _paper)),
        ranking_table("retriever", Column("paper, by data set", _paper_map)),
    ),
    plots=(score_bars,),
)
