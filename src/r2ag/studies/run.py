"""Runs a study: trainings, answers and measurements that aren't there yet, then its tables, plots and results.json."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from r2ag.errors import InputError
from r2ag.evaluation.methods import Method, Prediction, create_method, parse_methods
from r2ag.evaluation.methods.bench import Bench
from r2ag.evaluation.ranking import average_precisions
from r2ag.evaluation.run import evaluate
from r2ag.evaluation.stored import write_stored
from r2ag.evaluation.table import table
from r2ag.io.atomic import write_whole
from r2ag.records import read_files, read_records
from r2ag.records.split import sample
from r2ag.records.vectors import describe_records
from r2ag.studies.base import Condition, Options, Plan, Setting
from r2ag.studies.measured import measure_all
from r2ag.studies.models import Models, untuned_encoder
from r2ag.studies.outcome import Outcome, figures, values_of
from r2ag.studies.study import Study, Titled
from r2ag.types import Progress, RankedList, Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from r2ag.pipeline import Pipeline


@dataclass(frozen=True)
class Prepared:
    """A method on lists whose vectors were changed, which a digest of their texts doesn't tell."""

    method: Method
    preparation: str

    @property
    def name(self) -> str:
        """The method's own."""
        return self.method.name

    @property
    def settings(self) -> Mapping[str, Any]:
        """The method's own, with what was done to its lists."""
        return {**self.method.settings, "preparation": self.preparation}

    def answer(self, lists: Sequence[RankedList]) -> list[Prediction]:
        """The method's answers."""
        return self.method.answer(lists)


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
    return len(records) * sum(len(_names(condition)) for condition in plan.conditions)


def run(
    study: Study, plan: Plan, records: Sequence[Record], options: Options, progress: Progress | None = None
) -> dict[str, Any]:
    """Measures all conditions, and writes what stands in docs/studies.md; the plan's steps must be made.

    Raises:
        InputError: an adapter, a model or a method can't be used.
    """
    models = Models(options.llm, options.retriever)
    counter = _Counter(plan, len(records), progress)
    answers: dict[str, list[dict[str, Any]]] = defaultdict(list)
    ranking: dict[str, list[np.ndarray]] = defaultdict(list)
    measured: dict[str, list[list[dict[str, Any]]]] = defaultdict(list)
    used: dict[str, dict[str, None]] = defaultdict(dict)
    for condition in plan.conditions:
        with counter.of(condition) as counted:
            found = _answer(condition, models, records, options, counted)
        answers[condition.row].append(found[0])
        ranking[condition.row].append(found[1])
        measured[condition.row].append(found[2])
        for name, value in _models(models.pipeline(condition.adapter)).items():
            used[name][value] = None
    outcome = Outcome(
        options,
        plan,
        tuple(records),
        {row: _stacked(repetitions) for row, repetitions in answers.items()},
        {row: np.stack(repetitions) for row, repetitions in ranking.items()},
        measured,
        {name: ", ".join(values) for name, values in used.items()},
    )
    return write(study, outcome)


def _answer(
    condition: Condition, models: Models, records: Sequence[Record], options: Options, progress: Progress
) -> tuple[dict[str, dict[str, np.ndarray]], np.ndarray, list[dict[str, Any]]]:
    pipeline = models.pipeline(condition.adapter)
    encoder = untuned_encoder(pipeline) if condition.untuned else pipeline.encoder
    vectors = options.output / "vectors"
    described = describe_records(encoder, records, vectors)
    prepared = condition.preparation.apply(described, Setting(condition.seed, vectors))
    bench = Bench(pipeline.reader, encoder, options.max_new_tokens, condition.seed)
    specs = parse_methods(condition.methods) if condition.methods else []
    methods: list[Method] = [create_method(spec, bench) for spec in specs]
    if condition.preparation.alters_vectors:
        methods = [Prepared(method, f"{condition.preparation.name}, seed {condition.seed}") for method in methods]
    evaluation = evaluate(
        records,
        prepared,
        methods,
        reader=None if condition.untuned else pipeline.reader,
        k=condition.k,
        order=condition.order,
        seed=condition.seed,
        output=options.output,
        batch_size=options.batch_size,
        progress=progress,
    )
    write_stored(options.output, evaluation, methods, pipeline.reader, f"records-{condition.file}.jsonl")
    lines: list[dict[str, Any]] = []
    if condition.measure is not None:
        lines = measure_all(condition, pipeline, records, evaluation.lists, options.output, progress)
    values = {name: values_of(predictions, records) for name, predictions in evaluation.predictions.items()}
    return values, average_precisions(records, evaluation.lists), lines


def _stacked(repetitions: Sequence[Mapping[str, Mapping[str, np.ndarray]]]) -> dict[str, dict[str, np.ndarray]]:
    """Seeds first: method → name → (seeds, records).

    Methods are told by their places: a name may hold the folder of its seed's training.
    """
    by_method = zip(*(one.values() for one in repetitions), strict=True)
    return {
        method: {name: np.stack([one[name] for one in repeated]) for name in repeated[0]}
        for method, repeated in zip(repetitions[0], by_method, strict=True)
    }


def _models(pipeline: Pipeline) -> dict[str, str]:
    adapter = pipeline.reader.adapter
    dtype = str(pipeline.reader.model.llm.dtype).removeprefix("torch.")
    tuned = "no" if adapter.encoder_lora is None else "yes"
    return {"llm": adapter.config.llm.name, "dtype": dtype, "encoder": pipeline.encoder.name, "tuned encoder": tuned}


class _Counter:
    """Answers of single methods as answers of the whole study; those that were there before count as well."""

    def __init__(self, plan: Plan, records: int, progress: Progress | None) -> None:
        self._records = records
        self._total = records * sum(len(_names(condition)) for condition in plan.conditions)
        self._progress = progress
        self._before = 0

    @contextmanager
    def of(self, condition: Condition) -> Iterator[Progress]:
        """A progress for one condition's methods."""
        names = _names(condition)

        def counted(name: str, done: int, total: int) -> None:
            if self._progress is not None:
                done += self._before + names.index(name) * self._records
                self._progress(f"{condition.row}: {name}", done, self._total)

        yield counted
        self._before += len(names) * self._records


def _names(condition: Condition) -> list[str]:
    """What a condition's methods, and what it measures, are called."""
    specs = parse_methods(condition.methods) if condition.methods else []
    return [spec.name for spec in specs] + ([] if condition.measure is None else [condition.measure.name])


def write(study: Study, outcome: Outcome) -> dict[str, Any]:
    """results.json, results.md and the plots; returns what stands in results.json."""
    folder = outcome.options.output
    tables = study.tables(outcome)
    pictures = {f"{name}.png": figure for name, figure in study.plots(outcome).items()}
    for name, figure in pictures.items():
        _save(figure, folder / name)
    notes = list(outcome.plan.notes)
    found = {
        "study": study.title,
        "records": len(outcome.records),
        "models": dict(outcome.models),
        "settings": _settings(outcome.options),
        "notes": notes,
        "figures": figures(outcome) | dict(study.figures(outcome)),
        "tables": [{"title": t.title, "head": t.table.head, "rows": t.table.rows} for t in tables],
        "plots": list(pictures),
        "conditions": {condition.file: condition.row for condition in outcome.plan.conditions},
    }
    write_whole(folder / "results.json", json.dumps(found, ensure_ascii=False, indent=2) + "\n")
    write_whole(folder / "results.md", markdown(study.title, notes, tables, list(pictures)))
    return found


def markdown(title: str, notes: Sequence[str], tables: Sequence[Titled], pictures: Sequence[str]) -> str:
    """A study as a page of Markdown."""
    parts = [f"# {title}\n", *(f"{note}\n" for note in notes)]
    parts += [f"## {one.title}\n\n{table(one.table.head, one.table.rows)}" for one in tables]
    return "\n".join([*parts, *(f"![{name.removesuffix('.png')}]({name})\n" for name in pictures)])


def _save(figure: Figure, file: Path) -> None:
    import io

    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=150)
    write_whole(file, drawn.getvalue())


def _settings(options: Options) -> dict[str, Any]:
    """Without folders, which mean nothing elsewhere."""
    data, train = [path.name for path in options.data], [file.name for file, _ in options.train]
    told = asdict(replace(options, data=(), train=(), output=Path(), adapter=Path(options.adapter).name))
    return {**told, "data": data, "train": train, "output": ""}
