"""Which records are taken, in what order: files mixed, samples drawn, records held back, documents ordered.

All are decided by a seed and by a record's or a document's own words, so that every command agrees.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from r2ag.errors import InputError
from r2ag.records.files import read_files
from r2ag.types import Document, Record

Sampled = TypeVar("Sampled")


@dataclass(frozen=True)
class Split:
    """Training records, and the held-back ones in three parts that never mix.

    `stopping` ends training, `calibration` fits probabilities, `threshold` chooses what counts as relevant.
    """

    training: list[Record]
    stopping: list[Record]
    calibration: list[Record]
    threshold: list[Record]


def split_records(records: Iterable[Record], held_back: float = 0.15, seed: int = 0) -> Split:
    """Splits by a hash of seed, id and question: a record stands on the same side whatever it is mixed with.

    Args:
        held_back: share of the records that no training sees, divided evenly between the three parts.
    """
    split = Split([], [], [], [])
    parts = (split.stopping, split.calibration, split.threshold)
    for record in records:
        digest = _digest(f"{seed}:{record.id}:{record.question}")
        position = int.from_bytes(digest[:8], "big") / 2**64
        if position >= held_back:
            split.training.append(record)
        else:
            parts[min(int(position / held_back * 3), 2)].append(record)
    return split


def mix(files: Sequence[tuple[Path, float]], seed: int = 0) -> list[Record]:
    """The records of all files, each file taken `weight` times: 0.5 a seeded half of it, 2 each record twice.

    Raises:
        InputError: a file can't be read, or a weight is not a positive number; names it.
    """
    for file, weight in files:
        if not (math.isfinite(weight) and weight > 0):
            raise InputError(f"The weight of {file} is {weight:g}; give a number above 0.")
    each = zip(files, read_files([file for file, _ in files]), strict=True)
    return [record for (file, weight), records in each for record in _weighted(records, weight, f"{seed}:{file.name}")]


def sample(records: Sequence[Sampled], count: int | None, seed: int | str = 0) -> list[Sampled]:
    """`count` of the records (or passages), drawn by the seed, in their own order; all where there are no more.

    More records hold the fewer ones of the same seed, so that answers to these need not be given again.
    """
    order = list(range(len(records)))
    random.Random(seed).shuffle(order)
    return [records[index] for index in sorted(order[:count])]


def _weighted(records: list[Record], weight: float, seed: str) -> list[Record]:
    whole = int(weight)
    return records * whole + sample(records, max(round((weight - whole) * len(records)), int(whole == 0)), seed)


def by_hash(documents: Iterable[Document], seed: int) -> tuple[Document, ...]:
    """By a hash of the seed and the text, which tells nothing of the order that they came in."""
    return tuple(sorted(documents, key=lambda document: _digest(f"{seed}:{document.passage}")))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
