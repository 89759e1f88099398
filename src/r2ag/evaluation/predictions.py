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
from r2ag.types import RankedList, Record

_FIELDS = tuple(field.name for field in fields(Prediction))


class PredictionFile:
    """JSON lines of one method; each line bears the digest of all that its answer depends on.

    Lines of other settings, other lists or a run that was killed as it wrote are left alone and never taken.
    """

    def __init__(self, folder: Path, method: str) -> None:
        self.path = folder / f"predictions-{_file_name(method)}.jsonl"

    def read(self) -> dict[str, Prediction]:
        """Predictions by digest."""
        if not self.path.is_file():
            return {}
        lines = map(_parse, self.path.read_bytes().split(b"\n"))
        return {line["digest"]: Prediction(**{name: line[name] for name in _FIELDS}) for line in lines if line}

    def append(self, record: Record, digest: str, prediction: Prediction) -> None:
        """Adds one line, on the disk when this returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        known = {"digest": digest, "id": record.id, "dataset": record.dataset, "question": record.question}
        line = json.dumps(known | {"answers": record.answers} | asdict(prediction), ensure_ascii=False)
        with self.path.open("ab") as file:
            # A killed run may have left half a line, which must not swallow this one.
            file.write(b"" if self._ends_whole() else b"\n")
            file.write(line.encode("utf-8", "replace") + b"\n")

    def _ends_whole(self) -> bool:
        with self.path.open("rb") as file:
            if file.seek(0, 2) == 0:
                return True
            file.seek(-1, 2)
            return file.read(1) == b"\n"


def digest_of(settings: Mapping[str, Any], ranked: RankedList) -> str:
    """Names an answer: equal digests, equal settings, question and documents, with their scores, in their order."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    scores = [json.dumps(document.scores, sort_keys=True) for document in ranked.documents if document.scores]
    for text in (ranked.question, *(document.passage for document in ranked.documents), *scores):
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()[:32]


def _parse(line: bytes) -> dict[str, Any]:
    try:
        fields_ = json.loads(line)
    except ValueError:
        return {}
    return fields_ if isinstance(fields_, dict) and {"digest", *_FIELDS} <= fields_.keys() else {}


def _file_name(method: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", method)
