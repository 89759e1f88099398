"""The methods that an evaluation compares, importing this loads none of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, cast

from r2ag.errors import InputError
from r2ag.evaluation.methods.base import Method, Prediction, Spec

if TYPE_CHECKING:
    from r2ag.evaluation.methods.bench import Bench

__all__ = ["APPROXIMATIONS", "METHODS", "Method", "Prediction", "Spec", "create_method", "parse_methods"]

METHODS = {
    "rag": "rag.rag",
    "rag-topn": "rag.rag_topn",
    "cot": "rag.cot",
    "cutoff": "rag.cutoff",
    "rerank": "rag.rerank",
    "recomp": "recomp.create",
    "longllmlingua": "longllmlingua.create",
    "crag": "crag.create",
    "self-rag": "self_rag.create",
    "self-rag-prompted": "self_rag_prompted.create",
    "learned-tokens": "r2ag.control",
    "r2ag": "r2ag.create",
    "r2ag-permuted": "r2ag.create",
    "r2ag-gold": "r2ag.create",
    "r2ag+prune": "r2ag.create",
    "r2ag+top": "r2ag.create",
    "r2ag+abstain": "r2ag.create",
    "r2ag-words": "r2ag_words.create",
    "xrag": "r2ag.control",
    "raft": "rag.raft",
    "r2ag+raft": "r2ag.create",
}
"""Method names, and the functions that make them by their module in this folder."""

APPROXIMATIONS = {
    "cot": "reasons and answers in one generation, within everybody's limit of new tokens",
    "recomp": "chooses sentences by any encoder; faithful with the authors' fine-tuned one, or with their compressor",
    "longllmlingua": "the authors' library; the LLM itself gives the perplexities",
    "crag": "graded by the relevance head or a cross-encoder, and without a web search",
    "xrag": "one projector trained on answers alone, from this encoder's vectors, without the paper's first stage",
    "self-rag-prompted": "asks in words for what Self-RAG's trained tokens say",
}
"""In what methods differ from the published ones whose names they have; docs/methods.md says more."""


def parse_methods(texts: Sequence[str]) -> list[Spec]:
    """Specifications of the form NAME[:ARGUMENT][=FOLDER].

    Results leave out the folder where the rest tells a method from the others.

    Raises:
        InputError: there is none, one is named twice, or a name is unknown; lists those there are.
    """
    specs = [Spec.parse(text) for text in texts]
    if not specs:
        raise InputError(f"No method is named; choose from {', '.join(METHODS)}.")
    for spec in specs:
        if spec.base not in METHODS:
            raise InputError(f"There is no method {spec.base!r}; choose from {', '.join(METHODS)}.")
        if specs.count(spec) > 1:
            raise InputError(f"The method {spec} is named twice; name it once.")
    names = [spec.name for spec in specs]
    return [replace(spec, name=str(spec)) if names.count(spec.name) > 1 else spec for spec in specs]


def create_method(spec: Spec, bench: Bench) -> Method:
    """Makes a method ready to answer.

    Raises:
        InputError: its argument or its adapter can't be used.
    """
    module, _, function = METHODS[spec.base].partition(".")
    create = getattr(import_module(f"{__name__}.{module}"), function)
    return cast("Method", create(spec, bench))
