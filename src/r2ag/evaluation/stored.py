"""What an evaluation found, and how it stands in a folder.

predictions-METHOD.jsonl holds answers, written as they come and found again by a run that continues. records.jsonl
holds what was read, from which a report shows single records.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r2ag.errors import InputError
from r2ag.evaluation.methods import Method, Prediction
from r2ag.evaluation.table import sections
from r2ag.io import journal
from r2ag.io.atomic import write_whole
from r2ag.records.files import json_lines
from r2ag.types import RankedList, Record

if TYPE_CHECKING:
    from r2ag.adapter.config import AdapterConfig
    from r2ag.answering.reader import Reader

FILE = "records.jsonl"
_FIELDS = tuple(field.name for field in fields(Prediction))


@dataclass(frozen=True)
class Evaluation:
    """What was read and answered: `predictions[method][i]` is the answer to `records[i]` from `lists[i]`.

    `probabilities[i][j]` is how probably document j of list i is relevant, where the adapter has a head that says so.
    """

    records: tuple[Record, ...]
    lists: tuple[RankedList, ...]
    predictions: Mapping[str, tuple[Prediction, ...]]
    probabilities: tuple[tuple[float, ...], ...] | None = None
    k: int | None = None
    models: Mapping[str, str] = field(default_factory=dict)


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


@dataclass(frozen=True)
class StoredDocument:
    """A document as it stood in the list; without an adapter's head there is no probability."""

    title: str
    text: str
    relevant: bool
    features: Mapping[str, float] = field(default_factory=dict)
    relevance_probability: float | None = None


@dataclass(frozen=True)
class StoredRecord:
    """A record with its list, and what each method answered from it."""

    id: str
    dataset: str
    question: str
    answers: tuple[str, ...]
    documents: tuple[StoredDocument, ...]
    predictions: Mapping[str, Prediction]


def write_stored(
    folder: Path, evaluation: Evaluation, methods: Sequence[Method], reader: Reader, name: str = FILE
) -> None:
    """Writes the lists with the main adapter's features; predictions are named by their digests."""
    lines = []
    for row, (record, ranked) in enumerate(zip(evaluation.records, evaluation.lists, strict=True)):
        features = _named_features(ranked, reader.adapter.config)
        unknown = [None] * len(ranked)
        probabilities = unknown if evaluation.probabilities is None else evaluation.probabilities[row]
        documents = [
            StoredDocument(document.title, document.text, bool(document.relevant), values, probability)
            for document, values, probability in zip(ranked.documents, features, probabilities, strict=True)
        ]
        fields = {
            "id": record.id,
            "dataset": record.dataset,
            "question": record.question,
            "answers": record.answers,
            "documents": [asdict(document) for document in documents],
            "digests": {method.name: digest_of(method.settings, ranked) for method in methods},
        }
        # What UTF-8 can't hold stays an escape, which any JSON reader understands.
        lines.append(json.dumps(fields) + "\n")
    write_whole(folder / name, "".join(lines))


def read_stored(folder: Path, name: str = FILE) -> list[StoredRecord]:
    """Records with lists and predictions, in their order.

    Raises:
        InputError: the folder holds no such file or a damaged one, or an answer is missing.
    """
    file = folder / name
    if not file.is_file():
        raise InputError(
            f"{folder} holds no {name}, which tells what the methods read; give the command that made it again, with "
            f"--output {folder}: answers that stand there are not asked for anew."
        )
    lines = list(json_lines(file))
    try:
        names = dict.fromkeys(name for _, fields in lines for name in fields["digests"])
        predictions = {name: PredictionFile(folder, name).read() for name in names}
        return [_record(fields, predictions) for _, fields in lines]
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{file} and the predictions beside it don't go together ({error}); give the command that made them again."
        ) from None


def _record(fields: Mapping[str, Any], predictions: Mapping[str, Mapping[str, Prediction]]) -> StoredRecord:
    return StoredRecord(
        id=fields["id"],
        dataset=fields["dataset"],
        question=fields["question"],
        answers=tuple(fields["answers"]),
        documents=tuple(StoredDocument(**document) for document in fields["documents"]),
        predictions={name: predictions[name][digest] for name, digest in fields["digests"].items()},
    )


def _named_features(ranked: RankedList, config: AdapterConfig) -> list[dict[str, float]]:
    """Of each document; features that are not known are left out."""
    from r2ag.method.features import list_features

    values, _ = list_features([ranked], config.encoder.similarity, config.former.features)
    # Values behind the named ones are vectors.
    rows = [zip(config.former.named_features, row, strict=False) for row in values[0].tolist()]
    return [{name: value for name, value in row if not math.isnan(value)} for row in rows]


@dataclass(frozen=True)
class Results:
    """The content of results.json, and the records to show one by one.

    A study has pictures, by the names of their files, and its records are those of `condition`.
    """

    figures: Mapping[str, Any]
    records: Sequence[StoredRecord]
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    condition: str = ""

    @property
    def models(self) -> Mapping[str, str]:
        """What answered; several with commas between."""
        return {name: str(value) for name, value in self.figures.get("models", {}).items()}


def read_results(folder: Path, condition: str | None = None) -> Results:
    """Reads results.json, the predictions, and a study's pictures.

    Args:
        condition: of a study; None takes the first.

    Raises:
        InputError: the folder holds no results, or damaged ones, or there is no such condition.
    """
    file = folder / "results.json"
    try:
        figures = json.loads(file.read_text(encoding="utf-8"))
        is_study = "study" in figures
        if not is_study:
            sections(figures)[0][1]["methods"]
    except FileNotFoundError:
        raise InputError(f"{folder} holds no results.json; make one with: r2ag eval --output {folder}") from None
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        raise InputError(f"{file} is no results of r2ag eval; give the r2ag eval command again.") from None
    if is_study:
        return _read_study(folder, figures, condition)
    if condition is not None:
        raise InputError(f"--condition is for studies, and {folder} holds none; leave it out.")
    return Results(figures, read_stored(folder))


def _read_study(folder: Path, found: Mapping[str, Any], condition: str | None) -> Results:
    try:
        pictures = {name: (folder / Path(name).name).read_bytes() for name in found["plots"]}
        rows = {**found["conditions"]}
    except (OSError, KeyError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(
            f"The study in {folder} can't be read ({reason}); give the r2ag study command again: answers that stand "
            "there are not asked for anew."
        ) from None
    chosen = next((file for file, row in rows.items() if condition in (None, file, row)), None)
    if chosen is None:
        raise InputError(
            f"--condition is {condition!r}, and this study has: {', '.join(dict.fromkeys(rows.values()))}."
        )
    return Results(found, read_stored(folder, f"records-{chosen}.jsonl"), pictures, rows[chosen])
