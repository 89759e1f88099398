"""Vectors of whole record files, computed once: equal texts are encoded once, and a cache keeps them for later runs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from r2ag.encoder.encoder import FeatureEncoder
from r2ag.io.atomic import whole_file
from r2ag.types import Document, RankedList, Record


def describe_records(
    encoder: FeatureEncoder, records: Sequence[Record], cache: Path | None = None, progress: bool = False
) -> list[RankedList]:
    """Each record's documents, in the record's own order, with the encoder's vectors.

    Args:
        cache: a folder; texts that this encoder has seen before are read from there instead of encoded again.
    """
    if not records:
        return []
    queries = [record.question for record in records]
    passages = [document.passage for record in records for document in record.documents]
    known = VectorCache(encoder, cache)
    query_vectors = known.vectors("query", queries, encoder.encode_queries)
    document_vectors = known.vectors(
        "document",
        passages,
        lambda texts: encoder.encode_documents([Document(text) for text in texts], progress=progress),
    )
    known.save()
    ends = np.cumsum([len(record.documents) for record in records])[:-1]
    return [
        RankedList(record.question, record.documents, query, vectors)
        for record, query, vectors in zip(records, query_vectors, np.split(document_vectors, ends), strict=True)
    ]


class VectorCache:
    """Vectors of one encoder by the text they came from, in one file."""

    def __init__(self, encoder: FeatureEncoder, folder: Path | None) -> None:
        name = hashlib.sha256(encoder.fingerprint.encode()).hexdigest()[:16]
        self.file = None if folder is None else folder / f"{name}.npz"
        self._known: dict[bytes, np.ndarray] = {}
        if self.file is not None and self.file.is_file():
            with np.load(self.file, allow_pickle=False) as stored:
                keys, vectors = stored["keys"], stored["vectors"]
            self._known = {key.tobytes(): vector for key, vector in zip(keys, vectors, strict=True)}
        self._saved = len(self._known)

    def vectors(self, kind: str, texts: Sequence[str], encode: Callable[[list[str]], np.ndarray]) -> np.ndarray:
        """Vectors of one or more texts, (len(texts), dimension); only new texts are encoded, each once."""
        keys = [_key(kind, text) for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
        if new:
            self._known.update(zip(new, encode(list(new.values())), strict=True))
        return np.stack([self._known[key] for key in keys])

    def save(self) -> None:
        """Writes the file where something is new; it is replaced whole or not at all."""
        if self.file is None or len(self._known) == self._saved:
            return
        keys = np.frombuffer(b"".join(self._known), dtype=np.uint8).reshape(len(self._known), -1)
        with whole_file(self.file) as new, new.open("wb") as opened:
            np.savez(opened, keys=keys, vectors=np.stack(list(self._known.values())))
        self._saved = len(self._known)


def _key(kind: str, text: str) -> bytes:
    return hashlib.sha256(f"{kind}:{text}".encode("utf-8", "surrogatepass")).digest()[:16]
