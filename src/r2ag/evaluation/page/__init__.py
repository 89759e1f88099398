"""One self-contained HTML page from a folder of evaluation results (`r2ag report`).

Everything that comes from data stands in the page as escaped text, or as JSON that a script shows as text: a document
is read by nobody's browser as markup. Nothing is loaded from anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from r2ag.errors import InputError
from r2ag.evaluation.methods import APPROXIMATIONS, Spec
from r2ag.evaluation.metrics import acc, f1
from r2ag.evaluation.page.plots import heat_map, interval_plot, token_plot
from r2ag.evaluation.stored import StoredRecord, read_stored
from r2ag.evaluation.table import Table, sections, tables

if TYPE_CHECKING:
    from r2ag.evaluation.attention import AttentionMap

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Results:
    """What a folder of `r2ag eval --output` holds: the figures, and the records that they are of."""

    figures: Mapping[str, Any]
    records: Sequence[StoredRecord]

    @property
    def models(self) -> Mapping[str, str]:
        """What answered."""
        return {name: str(value) for name, value in self.figures.get("models", {}).items()}


def read_results(folder: Path) -> Results:
    """Reads results.json, records.jsonl and the predictions.

    Raises:
        InputError: the folder holds no results, or damaged ones.
    """
    file = folder / "results.json"
    try:
        figures = json.loads(file.read_text(encoding="utf-8"))
        sections(figures)[0][1]["methods"]
    except FileNotFoundError:
        raise InputError(f"{folder} holds no results.json; make one with: r2ag eval --output {folder}") from None
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        raise InputError(f"{file} is no results of r2ag eval; give the r2ag eval command again.") from None
    return Results(figures, read_stored(folder))


def render(results: Results, title: str, attention: AttentionMap | None = None) -> str:
    """The page.

    Raises:
        InputError: results.json lacks figures.
    """
    figures = results.figures
    settings = figures.get("settings", {})
    facts = {**figures.get("models", {}), "documents": figures.get("k") or "all", "order": settings.get("order", "")}
    facts |= {"seed": settings.get("seed", ""), "longest answer": f"{settings.get('max_new_tokens', '?')} tokens"}
    try:
        parts = [_section(name, one) for name, one in sections(figures)]
    except (KeyError, TypeError):
        raise InputError("results.json lacks figures; give the r2ag eval command again.") from None
    methods = list(figures["methods"])
    parts += [differences(methods), attention_section(attention)]
    return page(title, facts, parts, methods, results.records)


def page(
    title: str,
    facts: Mapping[str, object],
    parts: Sequence[str],
    methods: Sequence[str],
    records: Sequence[StoredRecord],
) -> str:
    """One HTML page of sections, which shows single records where there are any methods.

    Args:
        facts: stand under the title; those that say nothing are left out.
    """
    page_html, browser, style, script = (
        (_HERE / name).read_text(encoding="utf-8") for name in ("page.html", "browser.html", "page.css", "page.js")
    )
    said = [(name, str(value)) for name, value in facts.items() if value not in ("", None)]
    data = f'<script type="application/json" id="data">{_as_json(methods, records)}</script>'
    return Template(page_html).substitute(
        title=escape(title),
        style=style,
        # A browser runs this one script and loads nothing, whatever a document says.
        digest=f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}",
        facts="".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in said),
        parts="\n".join(parts),
        browser=f"{browser}{data}<script>{script}</script>" if methods else "",
    )


def _section(title: str, figures: Mapping[str, Any]) -> str:
    methods = figures["methods"]
    drawn = [interval_plot(methods, "acc", "Acc"), interval_plot(methods, "f1", "F1"), token_plot(methods)]
    parts = [html_table(one) for one in tables(figures)] + [f'<div class="plots">{"".join(drawn)}</div>']
    return section(title, *parts, remark=f"{figures['records']} records")


def section(title: str, *parts: str, remark: str = "") -> str:
    """Parts, which are HTML, under a title."""
    beside = f" <small>({escape(remark)})</small>" if remark else ""
    return f"<section><h2>{escape(title)}{beside}</h2>{''.join(parts)}</section>"


def paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def html_table(table: Table) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table.head)
    rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in table.rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def differences(names: Sequence[str]) -> str:
    """What is an approximation among the methods; nothing where none is."""
    bases = dict.fromkeys(Spec.parse(name).base for name in names)
    said = [f"<li>{escape(f'{base}: {APPROXIMATIONS[base]}')}</li>" for base in bases if base in APPROXIMATIONS]
    return section("Not quite as published", f"<ul>{''.join(said)}</ul>") if said else ""


def attention_section(attention: AttentionMap | None) -> str:
    """Where an LLM looks; nothing without a map."""
    if attention is None:
        return ""
    maps = {"to each anchor": attention.anchors, "to each document's text": attention.documents}
    drawn = [heat_map(values, title, attention.relevant) for title, values in maps.items()]
    return section(
        "Attention",
        paragraph(attention.question),
        paragraph(f"Adapter {attention.adapter} on {attention.llm}."),
        paragraph(
            "Where the prompt's last token looks, layer by layer (the paper's figure 6): sums over positions, means "
            "over heads. ★ marks relevant documents."
        ),
        f'<div class="plots">{"".join(drawn)}</div>',
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
