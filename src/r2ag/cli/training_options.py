"""What `r2ag train` is told in forms of its own: choices, weighted files, ranges."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from r2ag.errors import InputError


class TrainedMethod(StrEnum):
    """What may be trained."""

    r2ag = "r2ag"
    learned_tokens = "learned-tokens"
    xrag = "xrag"
    raft = "raft"


class TrainingOrder(StrEnum):
    """Of the documents in the prompt."""

    encoder = "encoder"
    shuffled = "shuffled"
    mixed = "mixed"


class TrainingTargets(StrEnum):
    """Answers to learn from."""

    gold = "gold"
    own = "own"
    distilled = "distilled"


def weighted_file(argument: str) -> tuple[Path, float]:
    """FILE or FILE:WEIGHT; a file whose name ends in a colon and a number is taken as it is."""
    name, _, weight = argument.rpartition(":")
    if name and not Path(argument).exists():
        try:
            return Path(name), float(weight)
        except ValueError:
            pass
    return Path(argument), 1.0


def document_range(argument: str) -> tuple[int, int]:
    """LO-HI, or one number for both.

    Raises:
        InputError: it is neither.
    """
    low, dash, high = argument.partition("-")
    if not low.isdecimal() or (dash and not high.isdecimal()):
        raise InputError(f"--documents is {argument!r}; give two numbers as in 1-10.")
    return int(low), int(high if dash else low)


def positive(value: float, option: str) -> float:
    """The value.

    Raises:
        InputError: it is not above 0, or not finite.
    """
    if not 0 < value < float("inf"):
        raise InputError(f"{option} is {value:g}; give a number above 0.")
    return value
