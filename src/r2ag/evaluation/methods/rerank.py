"""`rerank:N=MODEL`: a cross-encoder reads each document with the question; the N best are read, the best first.

Nogueira and Cho, 2019 (arXiv 1901.04085), with any sentence-transformers cross-encoder; exact.
"""

from __future__ import annotations

import numpy as np

from r2ag.encoder.encoder import weights_digest
from r2ag.errors import InputError
from r2ag.evaluation.methods.base import Spec
from r2ag.evaluation.methods.bench import Bench
from r2ag.evaluation.methods.refined import Refined, Refinement, refined_rag, selected
from r2ag.retrieval.rerank import load_cross_encoder, relevance_scores
from r2ag.types import RankedList


def create(spec: Spec, bench: Bench) -> Refined:
    """Ties stay in the list's order.

    Raises:
        InputError: N or the model is missing or can't be used.
    """
    count = spec.count()
    if not spec.folder:
        raise InputError(
            f"The method {spec} needs a cross-encoder, as {spec.base}:{count}=MODEL with a folder or a hub name such "
            "as cross-encoder/ms-marco-MiniLM-L6-v2; none comes with r2ag."
        )
    model = load_cross_encoder(spec.folder)

    def refine(ranked: RankedList) -> Refinement:
        scores = relevance_scores(model, ranked.question, ranked.documents)
        return selected(ranked, np.argsort(-scores, kind="stable")[:count].tolist())

    return refined_rag(spec, bench, refine, {"cross_encoder": weights_digest(model)})
