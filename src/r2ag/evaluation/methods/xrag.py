"""`xrag=ADAPTER_FOLDER`: each document's vector, projected into the LLM, in place of its text (arXiv 2405.13792).

`xrag:N=ADAPTER_FOLDER` reads the first N documents; the paper's reads one. An approximation: the vectors are those of
the adapter's feature encoder, and the projector learns from answers alone, while the paper's has first learned to say
what a document says, from two million passages.
"""

from __future__ import annotations

from r2ag.evaluation.methods.base import Method, Spec
from r2ag.evaluation.methods.bench import Bench
from r2ag.evaluation.methods.r2ag import reads_first


def create(spec: Spec, bench: Bench) -> Method:
    """Reads all documents, or the first N.

    Raises:
        InputError: the adapter holds no projector of vectors.
    """
    return reads_first(spec, bench, "xrag", "xRAG")
