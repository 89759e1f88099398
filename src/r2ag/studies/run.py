"""Runs a study: answers and measurements that aren't there yet, then its tables, plots and results.json."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from r2ag.errors import InputError
from r2ag.evaluation.table import table
from r2ag.io.atomic import write_whole
from r2ag.records import read_files, read_records
from r2ag.records.split import sample
from r2ag.studies.base import Options, Plan
from r2ag.studies.conditions import Found, Models, find, names_of
from r2ag.studies.outcome import Outcome, answer_figures
from r2ag.studies.study import Study, Titled
from r2ag.types import Progress, Record


def read_data(options: Options) -> list[Record]:
    """The records of all files, `limit` of each.

    Raises:
        InputError: a file can't be read, or a record is among the training records as well.
    """
    records = [r for file in read_files(options.data) for r in sample(file, options.limit, options.seed)]
    questions = {record.question for record in records}
    for file, _ in options.train:
        known = next((r.question for r in read_records(file) if r.question in questions), None)
        if known is not None:
            raise InputError(f"{file} trains on a question of --data ({known!r}); its answers would prove nothing.")
    return records


def count_answers(plan: Plan, records: Sequence[Record]) -> int:
    """Answers and measurements of a whole study."""
    return len(records) * sum(len(names_of(condition)) for condition in plan.conditions)


def run(
    study: Study, plan: Plan, records: Sequence[Record], options: Options, progress: Progress | None = None
) -> dict[str, Any]:
    """Measures all conditions, and writes what docs/studies.md lists; the plan's steps must be done.

    Raises:
        InputError: an adapter, a model or a method can't be used.
    """
    models = Models(options.llm, options.retriever)
    found: list[Found] = []
    before, total = 0, count_answers(plan, records)
    for condition in plan.conditions:
        # Answers of single methods are counted as answers of the whole study.
        starts = {name: before + place * len(records) for place, name in enumerate(names_of(condition))}

        def counted(name: str, done: int, _: int, row: str = condition.row, starts: dict[str, int] = starts) -> None:
            if progress is not None:
                progress(f"{row}: {name}", starts[name] + done, total)

        found.append(find(condition, models.pipeline(condition.adapter), records, options, counted))
        before += len(starts) * len(records)
    return write(study, _outcome(options, plan, records, found))


def _outcome(options: Options, plan: Plan, records: Sequence[Record], found: Sequence[Found]) -> Outcome:
    """Conditions of one row are repetitions of it."""
    rows: dict[str, list[Found]] = {}
    for one in found:
        rows.setdefault(one.condition.row, []).append(one)
    return Outcome(
        options,
        plan,
        tuple(records),
        {row: stacked([one.answers for one in repeated]) for row, repeated in rows.items()},
        {row: np.stack([one.precisions for one in repeated]) for row, repeated in rows.items()},
        {row: [one.measured for one in repeated] for row, repeated in rows.items()},
        {name: ", ".join(dict.fromkeys(one.models[name] for one in found)) for name in found[0].models},
    )


def stacked(repetitions: Sequence[Mapping[str, Mapping[str, np.ndarray]]]) -> dict[str, dict[str, np.ndarray]]:
    """Seeds first: method → name → (seeds, records).

    A method is known by its place, since its name may hold the folder of its seed's training.
    """
    by_method = zip(*(one.values() for one in repetitions), strict=True)
    return {
        method: {name: np.stack([one[name] for one in repeated]) for name in repeated[0]}
        for method, repeated in zip(repetitions[0], by_method, strict=True)
    }


def write(study: Study, outcome: Outcome) -> dict[str, Any]:
    """results.json, results.md and the plots; returns what stands in results.json."""
    folder = outcome.options.output
    tables = [one for make in study.tables for one in make(outcome)]
    plots = {f"{name}.png": figure for make in study.plots for name, figure in make(outcome).items()}
    for name, figure in plots.items():
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png", dpi=150)
        write_whole(folder / name, drawn.getvalue())
    notes = list(outcome.plan.notes)
    found = {
        "study": study.title,
        "records": len(outcome.records),
        "models": dict(outcome.models),
        "settings": _settings(outcome.options),
        "notes": notes,
        "figures": answer_figures(outcome) | dict(study.figures(outcome)),
        "tables": [{"title": t.title, "head": t.table.head, "rows": t.table.rows} for t in tables],
        "plots": list(plots),
        "conditions": {condition.file: condition.row for condition in outcome.plan.conditions},
    }
    write_whole(folder / "results.json", json.dumps(found, ensure_ascii=False, indent=2) + "\n")
    write_whole(folder / "results.md", _markdown(study.title, notes, tables, list(plots)))
    return found


def _markdown(title: str, notes: Sequence[str], tables: Sequence[Titled], plots: Sequence[str]) -> str:
    parts = [f"# {title}\n", *(f"{note}\n" for note in notes)]
    parts += [f"## {one.title}\n\n{table(one.table.head, one.table.rows)}" for one in tables]
    return "\n".join([*parts, *(f"![{name.removesuffix('.png')}]({name})\n" for name in plots)])


def _settings(options: Options) -> dict[str, Any]:
    """Without folders, which mean nothing elsewhere."""
    data, train = [path.name for path in options.data], [file.name for file, _ in options.train]
    told = asdict(replace(options, data=(), train=(), output=Path(), adapter=Path(options.adapter).name))
    return {**told, "data": data, "train": train, "output": ""}
