"""`cutoff:T`: plain RAG on the documents whose cosine with the question is T or more, and on the nearest one at least.

What most RAG frameworks offer as a score threshold; exact.
"""

from __future__ import annotations

import numpy as np

from r2ag.evaluation.methods.base import Spec
from r2ag.evaluation.methods.bench import Bench
from r2ag.evaluation.methods.refined import Refined, refined_rag, selected
from r2ag.method.calibration import keep_relevant
from r2ag.types import RankedList


def create(spec: Spec, bench: Bench) -> Refined:
    """The documents stay in the list's order.

    Raises:
        InputError: T is no number from 0 to 1.
    """
    threshold = spec.share()
    settings = bench.encoder_settings()
    return refined_rag(
        spec, bench, lambda ranked: selected(ranked, keep_relevant(cosines(ranked), threshold)), settings
    )


def cosines(ranked: RankedList) -> list[float]:
    """Of each document with the question, whatever the encoder's own similarity is."""
    lengths = np.linalg.norm(ranked.document_vectors, axis=1) * np.linalg.norm(ranked.query_vector)
    products = ranked.document_vectors @ ranked.query_vector
    return [float(value) for value in products / np.maximum(lengths, 1e-12)]
