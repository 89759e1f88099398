"""Vectors of whole record files, computed once: equal passages are encoded once, and a cache keeps them for later."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from r2ag.encoder import FeatureEncoder
from r2ag.types import Document, RankedList, Record


def describe_records(
    encoder: FeatureEncoder, records: Sequence[Record], cache: Path | None = None, progress: bool = False
) -> list[RankedList]:
    """Each record's documents, in the record's own order, with the encoder's vectors.

    Args:
        cache: a folder; vectors of the same texts by the same encoder are read from there instead of computed.
    """
    passages = list(dict.fromkeys(document.passage for record in records for document in record.documents))
    file = None if cache is None else cache / f"{_digest(encoder, records)}.npz"
    if file is not None and file.is_file():
        with np.load(file, allow_pickle=False) as stored:
            queries, vectors = stored["queries"], stored["documents"]
    else:
        queries = encoder.encode_queries([record.question for record in records])
        vectors = encoder.encode_documents([Document(passage) for passage in passages], progress=progress)
        if file is not None:
            _save(file, queries, vectors)
    row = {passage: index for index, passage in enumerate(passages)}
    return [
        RankedList(record.question, record.documents, query, vectors[[row[d.passage] for d in record.documents]])
        for record, query in zip(records, queries, strict=True)
    ]


def _digest(encoder: FeatureEncoder, records: Sequence[Record]) -> str:
    digest = hashlib.sha256(encoder.fingerprint.encode())
    for record in records:
        texts = [record.question, *(document.passage for document in record.documents)]
        digest.update(json.dumps(texts).encode())
    return digest.hexdigest()[:32]


def _save(file: Path, queries: np.ndarray, vectors: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{os.getpid()}-{file.name}")
    np.savez(temporary, queries=queries, documents=vectors)
    temporary.replace(file)
