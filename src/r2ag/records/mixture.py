"""Several record files as one training set."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from r2ag.errors import InputError
from r2ag.records.files import read_files
from r2ag.types import Record

Sampled = TypeVar("Sampled")


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
