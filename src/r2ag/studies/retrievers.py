"""Figure 4: documents found by several retrievers.

Without training records one adapter describes what each of them finds, by its own encoder. With them each bi-encoder
has an adapter that was trained with it, as in the paper; BM25 and rerankers, which make no vectors, share the untuned
encoder's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from r2ag.adapter.adapter import Adapter
from r2ag.adapter.loading import PRETRAINED
from r2ag.models.wheels import DEFAULT_RETRIEVER
from r2ag.studies.base import Condition, Options, Plan, Step, encoder_training, training
from r2ag.studies.plots import score_bars
from r2ag.studies.preparations import found_by, makes_no_vectors
from r2ag.studies.study import Study
from r2ag.studies.tables import answer_tables, ranking_table

METHODS = ("rag", "rag-topn", "r2ag", "r2ag+prune")
DOCUMENTS = 5


def plan(options: Options) -> Plan:
    """Each finder's best K documents in its order."""
    return Plan.of(_trained(options) if options.train else _given(options))


def _given(options: Options) -> Iterator[tuple[Condition, list[Step]]]:
    encoder = Adapter.from_pretrained(options.adapter or PRETRAINED).config.encoder.name
    for finder in options.over:
        found = {} if finder == "adapter" else _found(encoder if finder == "untuned" else finder)
        yield options.condition(finder, METHODS, k=DOCUMENTS, **found), []


def _trained(options: Options) -> Iterator[tuple[Condition, list[Step]]]:
    for finder in options.over:
        for seed in options.all_seeds:
            steps = _steps(options, finder, seed)
            found = _found(finder) if makes_no_vectors(finder) else {}
            yield options.condition(finder, METHODS, str(steps[-1].folder), DOCUMENTS, seed=seed, **found), steps


def _steps(options: Options, finder: str, seed: int) -> list[Step]:
    """What makes the adapter that describes a finder's documents, which is the last of them."""
    if finder == "adapter":
        encoder = encoder_training(options, seed, options.retriever or DEFAULT_RETRIEVER)
        return [encoder, training(options, "tuned", seed, "--encoder-lora", str(encoder.folder))]
    if finder == "untuned" or makes_no_vectors(finder):
        return [training(options, "untuned", seed)]
    return [training(options, f"with {finder}", seed, "--retriever", finder)]


def _found(finder: str) -> dict[str, Any]:
    return {"preparation": found_by(finder), "order": "given"}


STUDY = Study(
    "retrievers",
    "Documents found by several retrievers",
    plan,
    tables=(answer_tables("finder"), ranking_table("finder")),
    plots=(score_bars,),
)
