"""A text encoder and a chunker that are quick and easy to foresee."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from r2ag.corpus import SourceFile
from r2ag.types import Document


class HashingEncoder:
    """Each word has a fixed random direction, so that a product grows with shared words; counts what it encodes."""

    max_tokens = 512

    def __init__(self, name: str = "hashing", dimension: int = 64) -> None:
        self.name = name
        self.dimension = dimension
        self.encoded: list[str] = []

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def encode_queries(self, queries: Sequence[str]) -> np.ndarray:
        return self._encode(queries)

    def encode_documents(self, documents: Sequence[Document]) -> np.ndarray:
        self.encoded += [document.passage for document in documents]
        return self._encode([document.passage for document in documents])

    def _encode(self, texts: Sequence[str]) -> np.ndarray:
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in text.lower().split() or [""]:
                seed = hashlib.sha256(f"{self.name}:{word}".encode("utf-8", "replace")).digest()[:8]
                row += np.random.default_rng(int.from_bytes(seed, "big")).standard_normal(self.dimension)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def paragraphs(file: SourceFile, count_tokens: Callable[[str], int], max_tokens: int) -> list[Document]:
    """A passage of each paragraph, without a title."""
    texts = [text.strip() for block in file.blocks for text in block.text.split("\n\n")]
    return [Document(text, source=file.source) for text in texts if text]
