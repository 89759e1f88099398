"""What was read, on disk beside the predictions: records.jsonl, from which a report shows single records."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r2ag.errors import InputError
from r2ag.evaluation.methods.base import Method, Prediction
from r2ag.evaluation.predictions import PredictionFile, digest_of
from r2ag.io.atomic import write_whole
from r2ag.records.files import json_lines

if TYPE_CHECKING:
    from r2ag.answering.reader import Reader
    from r2ag.evaluation.outcome import Evaluation

FILE = "records.jsonl"


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
    features = _features(evaluation, reader)
    lines = []
    for row, (record, ranked) in enumerate(zip(evaluation.records, evaluation.lists, strict=True)):
        unknown = [None] * len(ranked)
        probabilities = unknown if evaluation.probabilities is None else evaluation.probabilities[row]
        documents = [
            StoredDocument(document.title, document.text, bool(document.relevant), values, probability)
            for document, values, probability in zip(ranked.documents, features[row], probabilities, strict=True)
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


def _features(evaluation: Evaluation, reader: Reader) -> list[list[dict[str, float]]]:
    """Of each document of each list, by name; those that are not known are left out."""
    from r2ag.method.features import list_features

    config = reader.adapter.config
    described = []
    for ranked in evaluation.lists:
        values, _ = list_features([ranked], config.encoder.similarity, config.former.features)
        names = config.former.named_features
        rows = [zip(names, row[: len(names)], strict=True) for row in values[0].tolist()]
        described.append([{name: value for name, value in row if not math.isnan(value)} for row in rows])
    return described
