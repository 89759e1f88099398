"""Which checkpoints of a training a run can go on from."""

from __future__ import annotations

import json
from pathlib import Path

from r2ag.errors import InputError

STATE = "trainer_state.json"  # transformers' Trainer writes it last


def whole_checkpoints(work: Path) -> list[Path]:
    """The oldest first; a kill may have left half of one, which doesn't count."""
    whole = [folder for folder in work.glob("checkpoint-*") if _is_whole(folder)]
    return sorted(whole, key=lambda folder: int(folder.name.rpartition("-")[2]))


def last_checkpoint(work: Path) -> Path:
    """Where a run goes on from.

    Raises:
        InputError: it left none.
    """
    whole = whole_checkpoints(work)
    if not whole:
        raise InputError(f"{work} holds no checkpoint to resume from; start without --resume.")
    return whole[-1]


def _is_whole(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True
