"""An order of documents that tells nothing about them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from r2ag.types import Document


def by_hash(documents: Iterable[Document], seed: int) -> tuple[Document, ...]:
    """By a hash of the seed and the text, whatever order they came in."""
    return tuple(sorted(documents, key=lambda document: _digest(document.passage, seed)))


def _digest(text: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{text}".encode("utf-8", "surrogatepass")).digest()
