"""What a stopped run goes on from: its settings and its last whole checkpoint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from r2ag.errors import InputError
from r2ag.io.atomic import write_whole
from r2ag.training.config import TrainingConfig

STATE = "trainer_state.json"  # transformers' Trainer writes it last


def whole_checkpoints(work: Path) -> list[Path]:
    """Checkpoints, the oldest first; half of one, which a kill may have left, is not among them."""
    whole = [folder for folder in work.glob("checkpoint-*") if _is_whole(folder)]
    return sorted(whole, key=lambda folder: int(folder.name.rpartition("-")[2]))


def last_checkpoint(work: Path) -> Path:
    """The checkpoint that a run goes on from.

    Raises:
        InputError: there is none.
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


def remember_settings(file: Path, told: Mapping[str, Any], identity: Mapping[str, Any], resume: bool) -> None:
    """Writes a run's settings; a resumed run must have those that it had, or it would be neither run.

    Args:
        told: the settings.
        identity: what the run learns with and from.

    Raises:
        InputError: a setting has changed; names it.
    """
    settings = json.loads(json.dumps({**told, **identity}))
    if resume and file.is_file():
        # An older version did not write every name; one that it wrote and this one lacks counts where it was in use.
        assumed = json.loads(json.dumps(asdict(TrainingConfig()) | dict(identity)))
        before = assumed | json.loads(file.read_text(encoding="utf-8"))
        names = [name for name in sorted(settings | before) if name in settings or before[name]]
        if changed := [name for name in names if settings.get(name) != before.get(name)]:
            name = changed[0]
            raise InputError(
                f"The run in {file.parent} was started with {name} = {before.get(name)}, not {settings.get(name)}; "
                "resume it with the settings that it had."
            )
    write_whole(file, json.dumps(settings, indent=2))


def short_digest(value: Any) -> str:
    """Sixteen characters that tell JSON values apart."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]
