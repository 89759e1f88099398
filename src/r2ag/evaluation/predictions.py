"""Predictions on disk: written as they come, and found again by a run that continues."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from r2ag.evaluation.methods.base import Prediction
from r2ag.io import journal
from r2ag.types import RankedList, Record

_FIELDS = tuple(field.name for field in fields(Prediction))


class PredictionFile:
    """JSON lines of one method; each line bears the digest of all that its answer depends on.

    Lines of other settings, other lists or a run that was killed as it wrote are left alone and never taken.
    """

    def __init__(self, folder: Path, method: str) -> None:
        name = re.sub(r"[^\w.+-]+", "-", method)
        self.path = folder / f"predictions-{name}.jsonl"

    def read(self) -> dict[str, Prediction]:
        """Predictions by digest."""
        whole = (line for line in journal.read(self.path) if {"digest", *_FIELDS} <= line.keys())
        return {line["digest"]: Prediction(**{name: line[name] for name in _FIELDS}) for line in whole}

    def append(self, record: Record, digest: str, prediction: Prediction) -> None:
        """Adds one line; a killed process loses none that was added."""
        known = {"digest": digest, "id": record.id, "dataset": record.dataset, "question": record.question}
        journal.append(self.path, known | {"answers": record.answers} | asdict(prediction))


def digest_of(settings: Mapping[str, Any], ranked: RankedList) -> str:
    """Names an answer: equal digests, equal settings, question and documents, with their scores, in their order."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    scores = [json.dumps(document.scores, sort_keys=True) for document in ranked.documents if document.scores]
    for text in (ranked.question, *(document.passage for document in ranked.documents), *scores):
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()[:32]
