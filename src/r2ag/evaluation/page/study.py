"""One self-contained HTML page from a study's folder: its tables, its plots, and the records of one condition."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r2ag.errors import InputError
from r2ag.evaluation.page import BROWSER, INTERVALS, attention_section, differences, header, html_table, page
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
    methods = list(results.records[0].predictions) if results.records else []
    try:
        parts = [header(title, _facts(results.found), INTERVALS), *map(_paragraph, results.found["notes"])]
        parts += [_section(one) for one in results.found["tables"]]
    except (KeyError, TypeError):
        raise InputError("results.json lacks parts of a study; give the r2ag study command again.") from None
    drawn = "".join(map(_picture, results.pictures.items()))
    parts += [f'<section><h2>Plots</h2><div class="plots">{drawn}</div></section>', differences(methods)]
    if attention is not None:
        parts.append(attention_section(attention))
    if methods:
        parts += [_paragraph(f"Single records below: {results.condition}. --condition chooses others."), BROWSER]
    return page(title, parts, methods, results.records)


def _facts(found: Mapping[str, Any]) -> dict[str, object]:
    settings = found["settings"]
    shown = {"records": found["records"], "data": ", ".join(settings["data"]), "seeds": settings["seeds"]}
    trained = {"trained on": ", ".join(settings["train"]), "training records": settings["records"]}
    return {"study": found["study"], **found["models"], **shown, **(trained if settings["train"] else {})}


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _section(one: Mapping[str, Any]) -> str:
    made = Table(tuple(one["head"]), tuple(tuple(row) for row in one["rows"]))
    return f"<section><h2>{escape(one['title'])}</h2>{html_table(made)}</section>"


def _picture(named: tuple[str, bytes]) -> str:
    name, drawn = named
    source = base64.b64encode(drawn).decode()
    title = escape(name.removesuffix(".png"))
    return f'<figure><img alt="{title}" src="data:image/png;base64,{source}"><figcaption>{title}</figcaption></figure>'
