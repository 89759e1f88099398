"""`learned-tokens=ADAPTER_FOLDER`: the control whose anchors know a document's rank and none of its features.

`learned-tokens:N=ADAPTER_FOLDER` reads the first N documents.
"""

from __future__ import annotations

from r2ag.evaluation.methods.base import Method, Spec
from r2ag.evaluation.methods.bench import Bench
from r2ag.evaluation.methods.r2ag import reads_first


def create(spec: Spec, bench: Bench) -> Method:
    """Reads all documents, or the first N.

    Raises:
        InputError: the adapter holds no learned tokens.
    """
    return reads_first(spec, bench, "learned-tokens", "learned tokens")
