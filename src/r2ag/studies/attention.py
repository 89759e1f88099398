"""Figure 6: where the prompt's last token looks, layer by layer, over many records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from r2ag.errors import InputError
from r2ag.evaluation.attention import attention_map
from r2ag.evaluation.intervals import Interval, mean_interval
from r2ag.evaluation.table import Table, with_interval
from r2ag.studies.base import Condition, Measure, Options, Plan, Row
from r2ag.studies.outcome import Outcome
from r2ag.studies.plots import Point, heat_maps, line_plots
from r2ag.studies.study import Study, Titled
from r2ag.types import RankedList, Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from r2ag.pipeline import Pipeline

PARTS = {"anchors": "to anchors", "documents": "to documents' text"}
SEEN = "attention"


def _start(pipeline: Pipeline, records: Sequence[Record], lists: Sequence[RankedList]) -> Row:
    def look(place: int) -> dict[str, Any]:
        return asdict(attention_map(pipeline.reader, lists[place], records[place].id))

    return look


def plan(options: Options) -> Plan:
    """Nothing is answered: each prompt is read once.

    Raises:
        InputError: methods are named.
    """
    if options.methods:
        raise InputError("The study attention answers nothing; leave out --methods.")
    measure = Measure(SEEN, _start, resumes=True)
    return Plan(
        tuple(
            Condition(str(k), (), options.adapter, k=k, seed=options.seed, measure=measure) for k in options.numbers()
        ),
        notes=("Sums over the positions of a document's anchors or of its text, means over a layer's heads.",),
    )


def by_layer(lines: Sequence[Mapping[str, Any]], part: str, relevant: bool) -> list[list[float]]:
    """For each layer the mean attention to a record's relevant (or other) documents, one figure a record."""
    layers: list[list[float]] = []
    for line in lines:
        places = [place for place, label in enumerate(line["relevant"]) if label == relevant]
        for layer, row in enumerate(line[part] if places else ()):
            if layer == len(layers):
                layers.append([])
            layers[layer].append(float(np.mean([row[place] for place in places])))
    return layers


def tables(outcome: Outcome) -> list[Titled]:
    """A layer a row: attention to one relevant document, to one other, and by how much the first is more."""
    return [_table(k, lines[0]) for k, lines in outcome.measured.items()]


def _table(k: str, lines: Sequence[Mapping[str, Any]]) -> Titled:
    both = [line for line in lines if 0 < sum(line["relevant"]) < len(line["relevant"])]
    head, columns = ["layer"], list[list[str]]()
    for part, words in PARTS.items():
        relevant, other = by_layer(both, part, True), by_layer(both, part, False)
        for title, layers in ((f"{words}, relevant", relevant), ("other", other)):
            head.append(title)
            columns.append([_short(mean_interval(values)) for values in layers])
        head.append("difference by record")
        differences = [np.subtract(*pair).tolist() for pair in zip(relevant, other, strict=True)]
        columns.append([_short(mean_interval(values), "+") for values in differences])
    rows = tuple((str(layer), *cells) for layer, cells in enumerate(zip(*columns, strict=True), 1))
    return Titled(f"{k} documents ({len(both)} records with relevant and other ones)", Table(tuple(head), rows))


def _short(interval: Interval, sign: str = "") -> str:
    return with_interval(interval.mean, interval.ends, sign)


def plots(outcome: Outcome) -> dict[str, Figure]:
    """Mean maps over records with that many documents, and relevant against other documents by layer."""
    drawn = {}
    for k, (lines, *_) in outcome.measured.items():
        whole = [line for line in lines if len(line["relevant"]) == int(k)]
        if whole:
            maps = {
                f"{words} ({len(whole)} records)": np.mean([line[part] for line in whole], axis=0).tolist()
                for part, words in PARTS.items()
            }
            drawn[f"map-{k}"] = heat_maps(maps, "document in the list", "layer")
        drawn[f"layers-{k}"] = _layers(lines)
    return drawn


def _layers(lines: Sequence[Mapping[str, Any]]) -> Figure:
    panels = {
        f"{words} ({len(lines)} records)": {
            name: [Point(layer, mean_interval(values)) for layer, values in enumerate(by_layer(lines, part, label), 1)]
            for name, label in (("relevant", True), ("other", False))
        }
        for part, words in PARTS.items()
    }
    return line_plots(panels, "layer", "attention to a document")


STUDY = Study("Where the last token looks", "documents", plan, tables, plots)
