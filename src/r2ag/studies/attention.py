"""Figure 6: where the prompt's last token looks, layer by layer, over many records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import numpy as np

from r2ag.evaluation.attention import attention_map
from r2ag.evaluation.intervals import mean_interval
from r2ag.evaluation.table import Table
from r2ag.pipeline import Pipeline
from r2ag.studies.base import Condition, Line, Measure, Options, Plan
from r2ag.studies.outcome import Outcome, counted
from r2ag.studies.plots import Plots, Point, heat_maps, line_plots
from r2ag.studies.study import Study, Titled
from r2ag.studies.tables import cell
from r2ag.types import RankedList, Record

PARTS = {"anchors": "to anchors", "documents": "to documents' text"}
NOTE = "Sums over the positions of a document's anchors or of its text, means over a layer's heads."


def _look(pipeline: Pipeline, records: Sequence[Record], lists: Sequence[RankedList]) -> Iterator[Line]:
    for record, ranked in zip(records, lists, strict=True):
        yield asdict(attention_map(pipeline.reader, ranked, record.id))


def plan(options: Options) -> Plan:
    """Nothing is answered: each prompt is read once."""
    measure = Measure("attention", _look, resumes=True)
    conditions = (
        Condition(str(k), (), options.adapter, k=k, seed=options.seed, measure=measure) for k in options.numbers()
    )
    return Plan(tuple(conditions), notes=(NOTE,))


def by_layer(lines: Sequence[Line], part: str, relevant: bool) -> list[list[float]]:
    """For each layer the mean attention to a record's relevant (or other) documents, one figure a record."""
    layers: list[list[float]] = []
    for line in lines:
        places = [place for place, label in enumerate(line["relevant"]) if label == relevant]
        for layer, row in enumerate(line[part] if places else ()):
            if layer == len(layers):
                layers.append([])
            layers[layer].append(float(np.mean([row[place] for place in places])))
    return layers


def _lines(outcome: Outcome) -> dict[str, list[Line]]:
    """What was measured, by the number of documents."""
    return {k: [line for line in lines if line is not None] for k, (lines, *_) in outcome.measured.items()}


def tables(outcome: Outcome) -> list[Titled]:
    """A layer a row: attention to one relevant document, to one other, and by how much the first is more."""
    return [_table(k, lines) for k, lines in _lines(outcome).items()]


def _table(k: str, lines: Sequence[Line]) -> Titled:
    both = [line for line in lines if 0 < sum(line["relevant"]) < len(line["relevant"])]
    head, columns = ["layer"], list[list[str]]()
    for part, words in PARTS.items():
        relevant, other = by_layer(both, part, True), by_layer(both, part, False)
        differences = [np.subtract(*pair).tolist() for pair in zip(relevant, other, strict=True)]
        for title, layers, sign in (
            (f"{words}, relevant", relevant, ""),
            ("other", other, ""),
            ("difference by record", differences, "+"),
        ):
            head.append(title)
            columns.append([cell(mean_interval(values), sign) for values in layers])
    rows = tuple((str(layer), *cells) for layer, cells in enumerate(zip(*columns, strict=True), 1))
    return Titled(f"{k} documents ({len(both)} records with relevant and other ones)", Table(tuple(head), rows))


def plots(outcome: Outcome) -> Plots:
    """Mean maps over records with that many documents, and relevant against other documents by layer."""
    drawn = {}
    for k, lines in _lines(outcome).items():
        whole = [line for line in lines if len(line["relevant"]) == int(k)]
        if whole:
            maps = {
                counted(words, len(whole)): np.mean([line[part] for line in whole], axis=0).tolist()
                for part, words in PARTS.items()
            }
            drawn[f"map-{k}"] = heat_maps(maps, "document in the list", "layer")
        panels = {
            counted(words, len(lines)): {
                name: [
                    Point(layer, mean_interval(values)) for layer, values in enumerate(by_layer(lines, part, label), 1)
                ]
                for name, label in (("relevant", True), ("other", False))
            }
            for part, words in PARTS.items()
        }
        drawn[f"layers-{k}"] = line_plots(panels, "layer", "attention to a document")
    return drawn


STUDY = Study("attention", "Where the last token looks", plan, (tables,), (plots,), answers=False)
