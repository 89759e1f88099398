"""One self-contained HTML page from a folder of an evaluation's or a study's results (`r2ag report`).

Everything that comes from data stands in the page as escaped text, or as JSON that a script shows as text: a document
is read by nobody's browser as markup. Nothing is loaded from anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from r2ag.errors import InputError
from r2ag.evaluation.methods import APPROXIMATIONS, Spec
from r2ag.evaluation.metrics import acc, f1
from r2ag.evaluation.page.plots import heat_map, interval_plot, picture, token_plot
from r2ag.evaluation.stored import Results, StoredRecord
from r2ag.evaluation.table import Table, sections, tables

if TYPE_CHECKING:
    from r2ag.evaluation.attention import AttentionMap

_HERE = Path(__file__).parent


def render(results: Results, title: str, attention: AttentionMap | None = None) -> str:
    """The page.

    Raises:
        InputError: results.json lacks figures.
    """
    study = "study" in results.figures
    try:
        facts, parts, methods = (_study if study else _evaluation)(results)
    except (KeyError, TypeError):
        command = "study" if study else "eval"
        raise InputError(f"results.json lacks figures; give the r2ag {command} command again.") from None
    parts.append(_approximations(methods))
    if attention is not None:
        parts.append(_attention(attention))
    if methods and study:
        parts.append(_paragraph(f"Single records below: {results.condition}. --condition chooses others."))
    page, browser, style, script = (
        (_HERE / name).read_text(encoding="utf-8") for name in ("page.html", "browser.html", "page.css", "page.js")
    )
    said = [(name, str(value)) for name, value in facts.items() if value not in ("", None)]
    data = f'<script type="application/json" id="data">{_as_json(methods, results.records)}</script>'
    return Template(page).substitute(
        title=escape(title),
        style=style,
        # A browser runs this one script and loads nothing, whatever a document says.
        digest=f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}",
        facts="".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in said),
        parts="\n".join(parts),
        browser=f"{browser}{data}<script>{script}</script>" if methods else "",
    )


Content = tuple[dict[str, object], list[str], list[str]]
"""Facts for under the title, sections in HTML, and the methods whose single records are shown."""


def _evaluation(results: Results) -> Content:
    figures, settings = results.figures, results.figures.get("settings", {})
    facts = {**figures.get("models", {}), "documents": figures.get("k") or "all", "order": settings.get("order", "")}
    facts |= {"seed": settings.get("seed", ""), "longest answer": f"{settings.get('max_new_tokens', '?')} tokens"}
    return facts, [_figures(name, one) for name, one in sections(figures)], list(figures["methods"])


def _figures(title: str, figures: Mapping[str, Any]) -> str:
    methods = figures["methods"]
    drawn = [interval_plot(methods, "acc", "Acc"), interval_plot(methods, "f1", "F1"), token_plot(methods)]
    return _section(title, *map(_table, tables(figures)), _plots(drawn), remark=f"{figures['records']} records")


def _study(results: Results) -> Content:
    found, settings = results.figures, results.figures["settings"]
    facts = {"study": found["study"], **found["models"], "records": found["records"]}
    facts |= {"data": ", ".join(settings["data"]), "seeds": settings["seeds"]}
    if settings["train"]:
        facts |= {"trained on": ", ".join(settings["train"]), "training records": settings["records"]}
    parts = [_paragraph(note) for note in found["notes"]]
    parts += [_section(one["title"], _table(Table(one["head"], one["rows"]))) for one in found["tables"]]
    names = {name: name.removesuffix(".png") for name in results.pictures}
    drawn = [picture(names[name], content, "png", names[name]) for name, content in results.pictures.items()]
    methods = list(results.records[0].predictions) if results.records else []
    return facts, [*parts, _section("Plots", _plots(drawn))], methods


def _section(title: str, *parts: str, remark: str = "") -> str:
    """Parts, which are HTML, under a title."""
    beside = f" <small>({escape(remark)})</small>" if remark else ""
    return f"<section><h2>{escape(title)}{beside}</h2>{''.join(parts)}</section>"


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _plots(drawn: Sequence[str]) -> str:
    return f'<div class="plots">{"".join(drawn)}</div>'


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table.head)
    rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in table.rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _approximations(names: Sequence[str]) -> str:
    """What is an approximation among the methods; nothing where none is."""
    bases = dict.fromkeys(Spec.parse(name).base for name in names)
    said = [f"<li>{escape(f'{base}: {APPROXIMATIONS[base]}')}</li>" for base in bases if base in APPROXIMATIONS]
    return _section("Not quite as published", f"<ul>{''.join(said)}</ul>") if said else ""


def _attention(attention: AttentionMap) -> str:
    maps = {"to each anchor": attention.anchors, "to each document's text": attention.documents}
    return _section(
        "Attention",
        _paragraph(attention.question),
        _paragraph(f"Adapter {attention.adapter} on {attention.llm}."),
        _paragraph(
            "Where the prompt's last token looks, layer by layer (the paper's figure 6): sums over positions, means "
            "over heads. ★ marks relevant documents."
        ),
        _plots([heat_map(values, title, attention.relevant) for title, values in maps.items()]),
        remark=f"record {attention.record_id}",
    )


def _as_json(methods: Sequence[str], stored: Sequence[StoredRecord]) -> str:
    """JSON that can't end the script element it stands in, nor be taken for a comment."""
    records = [
        asdict(record)
        | {
            "predictions": {
                name: asdict(prediction)
                | {"right": acc(prediction.text, record.answers) > 0, "f1": f1(prediction.text, record.answers)}
                for name, prediction in record.predictions.items()
            }
        }
        for record in stored
    ]
    data = {"methods": list(methods), "records": records}
    return json.dumps(data).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
