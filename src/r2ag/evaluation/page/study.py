"""One self-contained HTML page from a study's folder: its tables, its plots, and the records of one condition."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r2ag.errors import InputError
from r2ag.evaluation.page import attention_section, differences, html_table, page, paragraph, section
from r2ag.evaluation.page.plots import picture
from r2ag.evaluation.stored import StoredRecord, read_stored
from r2ag.evaluation.table import Table

if TYPE_CHECKING:
    from r2ag.evaluation.attention import AttentionMap

FILE = "results.json"


@dataclass(frozen=True)
class StudyResults:
    """What a folder of `r2ag study --output` holds; `records` are those of `condition`."""

    found: Mapping[str, Any]
    pictures: Mapping[str, bytes]
    condition: str
    records: Sequence[StoredRecord]

    @property
    def models(self) -> Mapping[str, str]:
        """What answered; several with commas between."""
        return {name: str(value) for name, value in self.found.get("models", {}).items()}


def is_study(folder: Path) -> bool:
    """Whether a folder's results are a study's."""
    try:
        return "study" in json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def read_study(folder: Path, condition: str | None = None) -> StudyResults:
    """Reads results.json, the plots, and what was read and answered under a condition (by default the first).

    Raises:
        InputError: a file is missing or damaged, or there is no such condition.
    """
    try:
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
        pictures = {name: (folder / Path(name).name).read_bytes() for name in found["plots"]}
        files = {**found["conditions"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(
            f"The study in {folder} can't be read ({reason}); give the r2ag study command again: answers that stand "
            "there are not asked for anew."
        ) from None
    chosen = next((file for file, row in files.items() if condition in (None, file, row)), None)
    if chosen is None:
        named = ", ".join(dict.fromkeys(files.values()))
        raise InputError(f"--condition is {condition!r}, and this study has: {named}.")
    return StudyResults(found, pictures, files[chosen], read_stored(folder, f"records-{chosen}.jsonl"))


def render_study(results: StudyResults, title: str, attention: AttentionMap | None = None) -> str:
    """The page.

    Raises:
        InputError: results.json lacks something.
    """
    found, methods = results.found, list(results.records[0].predictions) if results.records else []
    try:
        parts = [*map(paragraph, found["notes"]), *map(_section, found["tables"])]
        facts = _facts(found)
    except (KeyError, TypeError):
        raise InputError("results.json lacks parts of a study; give the r2ag study command again.") from None
    names = {name: name.removesuffix(".png") for name in results.pictures}
    drawn = [picture(names[name], content, "png", names[name]) for name, content in results.pictures.items()]
    parts += [section("Plots", f'<div class="plots">{"".join(drawn)}</div>'), differences(methods)]
    parts.append(attention_section(attention))
    if methods:
        parts.append(paragraph(f"Single records below: {results.condition}. --condition chooses others."))
    return page(title, facts, parts, methods, results.records)


def _facts(found: Mapping[str, Any]) -> dict[str, object]:
    settings = found["settings"]
    shown = {"records": found["records"], "data": ", ".join(settings["data"]), "seeds": settings["seeds"]}
    trained = {"trained on": ", ".join(settings["train"]), "training records": settings["records"]}
    return {"study": found["study"], **found["models"], **shown, **(trained if settings["train"] else {})}


def _section(one: Mapping[str, Any]) -> str:
    made = Table(tuple(one["head"]), tuple(tuple(row) for row in one["rows"]))
    return section(one["title"], html_table(made))
