"""Which records train and which are held back: decided by each record's own id, so that every command agrees."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from r2ag.types import Record


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
        position = _position(f"{seed}:{record.id}:{record.question}")
        if position >= held_back:
            split.training.append(record)
        else:
            parts[min(int(position / held_back * 3), 2)].append(record)
    return split


def _position(key: str) -> float:
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
