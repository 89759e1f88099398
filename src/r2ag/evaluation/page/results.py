"""What a folder of `r2ag eval --output` or `r2ag study --output` holds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from r2ag.errors import InputError
from r2ag.evaluation.stored import StoredRecord, read_stored
from r2ag.evaluation.table import sections


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
