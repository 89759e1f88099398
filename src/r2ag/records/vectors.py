"""Vectors of whole record files: equal texts are encoded once, and a cache keeps the vectors for later runs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from filelock import FileLock

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
        self._known = _stored(self.file)
        self._saved = len(self._known)

    def vectors(self, kind: str, texts: Sequence[str], encode: Callable[[list[str]], np.ndarray]) -> np.ndarray:
        """Vectors of one or more texts, (len(texts), dimension); only new texts are encoded, each once."""
        keys = [_key(kind, text) for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
        if new:
            self._known.update(zip(new, encode(list(new.values())), strict=True))
        return np.stack([self._known[key] for key in keys])

    def save(self) -> None:
        """Adds what is new to the file, which is replaced whole or not at all. Other processes may save meanwhile."""
        if self.file is None or len(self._known) == self._saved:
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.file.with_suffix(".lock")):
            self._known |= _stored(self.file)
            keys = np.frombuffer(b"".join(self._known), dtype=np.uint8).reshape(len(self._known), -1)
            with whole_file(self.file) as new, new.open("wb") as opened:
                np.savez(opened, keys=keys, vectors=np.stack(list(self._known.values())))
        self._saved = len(self._known)


def _stored(file: Path | None) -> dict[bytes, np.ndarray]:
    if file is None or not file.is_file():
        return {}
    with np.load(file, allow_pickle=False) as stored:
        return {key.tobytes(): vector for key, vector in zip(stored["keys"], stored["vectors"], strict=True)}


def _key(kind: str, text: str) -> bytes:
    return hashlib.sha256(f"{kind}:{text}".encode("utf-8", "surrogatepass")).digest()[:16]
