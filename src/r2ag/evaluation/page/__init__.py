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
    """The page."""
    parts = [_header(results.figures, title)]
    try:
        parts += [_section(name, figures) for name, figures in sections(results.figures)]
    except (KeyError, TypeError):
        raise InputError("results.json lacks figures; give the r2ag eval command again.") from None
    parts.append(differences(list(results.figures["methods"])))
    if attention is not None:
        parts.append(attention_section(attention))
    return page(title, [*parts, BROWSER], list(results.figures["methods"]), results.records)


def page(title: str, parts: Sequence[str], methods: Sequence[str], records: Sequence[StoredRecord]) -> str:
    """One HTML page of sections; with BROWSER among them single records are shown."""
    css, script = ((_HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    # A browser runs this one script and loads nothing, whatever a document says; pictures stand in the page itself.
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src '{_digest(script)}'"
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title><style>{css}</style></head><body><main>",
            *parts,
            "</main>",
            *(
                (
                    f'<script type="application/json" id="data">{_as_json(methods, records)}</script>',
                    f"<script>{script}</script>",
                )
                if BROWSER in parts
                else ()
            ),
            "</body></html>\n",
        ]
    )


BROWSER = """<section id="browser"><h2>Single records</h2>
<form><label>Method <select id="method"></select></label>
<label>Answers <select id="state"><option value="all">all</option><option value="right">right</option>
<option value="wrong">wrong</option><option value="disagreement">methods disagree</option>
<option value="abstained">abstained</option></select></label>
<label>Words <input id="words" type="search" placeholder="in question or answer"></label>
<output id="count"></output></form>
<div class="columns"><ol id="list"></ol><article id="record" aria-live="polite"></article></div>
<noscript>Single records need JavaScript; the tables and plots above do not.</noscript></section>"""


def header(title: str, facts: Mapping[str, object], remark: str) -> str:
    """Title and facts; those that say nothing are left out."""
    said = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(str(value))}</dd></div>"
        for name, value in facts.items()
        if value not in ("", None)
    )
    return f"<header><h1>{escape(title)}</h1><dl>{said}</dl><p>{escape(remark)}</p></header>"


INTERVALS = "Intervals are of 95 %, by bootstrap."


def _header(figures: Mapping[str, Any], title: str) -> str:
    settings = figures.get("settings", {})
    facts = {**figures.get("models", {}), "documents": figures.get("k") or "all", "order": settings.get("order", "")}
    facts |= {"seed": settings.get("seed", ""), "longest answer": f"{settings.get('max_new_tokens', '?')} tokens"}
    return header(title, facts, INTERVALS)


def _section(title: str, figures: Mapping[str, Any]) -> str:
    methods = figures["methods"]
    drawn = [interval_plot(methods, "acc", "Acc"), interval_plot(methods, "f1", "F1"), token_plot(methods)]
    plots = "".join(f"<figure>{plot}</figure>" for plot in drawn)
    written = "".join(html_table(one) for one in tables(figures))
    return (
        f"<section><h2>{escape(title)} <small>({escape(str(figures['records']))} records)</small></h2>{written}"
        f'<div class="plots">{plots}</div></section>'
    )


def html_table(table: Table) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table.head)
    rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in table.rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def differences(names: Sequence[str]) -> str:
    """What is an approximation among the methods; nothing where none is."""
    bases = dict.fromkeys(Spec.parse(name).base for name in names)
    said = "".join(
        f"<li>{escape(base)}: {escape(APPROXIMATIONS[base])}</li>" for base in bases if base in APPROXIMATIONS
    )
    return f"<section><h2>Not quite as published</h2><ul>{said}</ul></section>" if said else ""


def attention_section(attention: AttentionMap) -> str:
    maps = (("to each anchor", attention.anchors), ("to each document's text", attention.documents))
    drawn = "".join(
        f"<figure>{heat_map(values, title, attention.relevant)}<figcaption>{escape(title)}; darkest: "
        f"{max(map(max, values)):.3f}</figcaption></figure>"
        for title, values in maps
    )
    return (
        f"<section><h2>Attention <small>(record {escape(attention.record_id)})</small></h2>"
        f"<p>{escape(attention.question)}</p><p>Adapter {escape(attention.adapter)} on {escape(attention.llm)}.</p>"
        "<p>Where the prompt's last token looks, layer by layer (the paper's figure 6): sums over positions, means "
        f'over heads; ★ marks relevant documents.</p><div class="plots">{drawn}</div></section>'
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


def _digest(script: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode('utf-8')).digest()).decode()}"
