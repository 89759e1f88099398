"""`learned-tokens=ADAPTER_FOLDER`: the control whose anchors know a document's rank and none of its features.

`learned-tokens:N=ADAPTER_FOLDER` reads the first N documents.
"""

from __future__ import annotations

from r2ag.errors import InputError
from r2ag.evaluation.methods.base import Spec
from r2ag.evaluation.methods.bench import Bench
from r2ag.evaluation.methods.r2ag import R2AG, with_anchors


def create(spec: Spec, bench: Bench) -> R2AG:
    """Reads all documents, or the first N.

    Raises:
        InputError: the adapter holds no learned tokens.
    """
    count = spec.count() if spec.argument else None
    if bench.reader(spec.folder).adapter.config.method != "learned-tokens":
        raise InputError(f"The method {spec} needs an adapter of learned tokens, as {spec.base}=ADAPTER_FOLDER.")
    return with_anchors(spec, bench, lambda probabilities: range(len(probabilities))[:count])
