"""R²AG: retrieval-augmented generation in which the LLM is told why each document was retrieved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from r2ag.errors import InputError
from r2ag.types import Answer, Document

if TYPE_CHECKING:
    from r2ag.pipeline import Pipeline

__version__ = "0.1.0"
__all__ = ["Answer", "Document", "InputError", "Pipeline", "__version__"]


def __getattr__(name: str) -> object:
    # `import r2ag` stays quick: torch and transformers load with the first use of what needs them.
    if name == "Pipeline":
        from r2ag.pipeline import Pipeline

        return Pipeline
    raise AttributeError(f"module 'r2ag' has no attribute {name!r}")
