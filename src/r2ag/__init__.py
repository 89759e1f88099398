"""R²AG: retrieval-augmented generation in which the LLM is told why each document was retrieved."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from r2ag.errors import InputError
from r2ag.types import Answer, Document

if TYPE_CHECKING:
    from r2ag.adapter.adapter import Adapter
    from r2ag.encoder.encoder import FeatureEncoder
    from r2ag.pipeline import Pipeline
    from r2ag.store import Store

__version__ = "0.1.0"
__all__ = ["Adapter", "Answer", "Document", "FeatureEncoder", "InputError", "Pipeline", "Store", "__version__"]

# `import r2ag` stays quick: torch and transformers load with the first use of what needs them.
_LAZY = {
    "Adapter": "r2ag.adapter.adapter",
    "FeatureEncoder": "r2ag.encoder.encoder",
    "Pipeline": "r2ag.pipeline",
    "Store": "r2ag.store",
}


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'r2ag' has no attribute {name!r}")
