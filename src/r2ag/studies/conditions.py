"""One condition of a study: its models, the answers from its lists, and what is measured of these beside answers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from r2ag.adapter.adapter import Adapter
from r2ag.adapter.loading import PRETRAINED, load_encoder
from r2ag.answering.reader import Reader
from r2ag.encoder.encoder import FeatureEncoder
from r2ag.evaluation.methods import Method, Prediction, Spec, create_method, parse_methods
from r2ag.evaluation.methods.bench import Bench, adapter_settings, llm_fingerprint
from r2ag.evaluation.ranking import average_precisions
from r2ag.evaluation.run import evaluate
from r2ag.evaluation.stored import digest_of, write_stored
from r2ag.io.atomic import write_whole
from r2ag.models import load_llm
from r2ag.pipeline import Pipeline
from r2ag.records.vectors import describe_records
from r2ag.studies.base import Condition, Line, Measure, Options, Setting
from r2ag.studies.outcome import values_of
from r2ag.types import Progress, RankedList, Record

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


class Models:
    """Pipelines by adapter, one at a time; an LLM that several adapters share stays loaded.

    Args:
        llm, retriever: other copies of the adapters' own models.
    """

    def __init__(self, llm: str | None = None, retriever: str | None = None) -> None:
        self._llm_copy = llm
        self._retriever_copy = retriever
        self._llm_name = ""
        self._llm: tuple[PreTrainedModel, PreTrainedTokenizerFast] | None = None
        self._adapter_name = ""
        self._pipeline: Pipeline | None = None

    def pipeline(self, adapter: str = "") -> Pipeline:
        """An adapter with its LLM and its encoder; without a name the shipped one.

        Raises:
            InputError: one of them can't be had, or they don't belong together.
        """
        if self._pipeline is None or adapter != self._adapter_name:
            self._pipeline = None  # frees its models before others are loaded
            self._pipeline, self._adapter_name = self._loaded(adapter), adapter
        return self._pipeline

    def _loaded(self, name: str) -> Pipeline:
        adapter = Adapter.from_pretrained(name or PRETRAINED)
        if adapter.llm_lora is not None:  # merging changes the LLM, so that no other adapter can share it
            self._llm = None
            return Pipeline.from_pretrained(name, self._llm_copy, self._retriever_copy)
        encoder = load_encoder(adapter, self._retriever_copy)
        llm_name = self._llm_copy or adapter.config.llm.name
        if self._llm is None or llm_name != self._llm_name:
            self._llm = None
            self._llm, self._llm_name = load_llm(llm_name), llm_name
        adapter.check_llm(*self._llm)
        return Pipeline(Reader(*self._llm, adapter), encoder)


@dataclass(frozen=True)
class AlteredLists:
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


@dataclass(frozen=True)
class Found:
    """What one condition's lists gave: scores and costs by method, average precisions, and what was measured."""

    condition: Condition
    answers: Mapping[str, Mapping[str, np.ndarray]]
    precisions: np.ndarray
    measured: Sequence[Line | None]
    models: Mapping[str, str]


def names_of(condition: Condition) -> list[str]:
    """Names of a condition's methods, and of what it measures."""
    names = [spec.name for spec in _specs(condition)]
    return names + ([] if condition.measure is None else [condition.measure.name])


def _specs(condition: Condition) -> list[Spec]:
    return parse_methods(condition.methods) if condition.methods else []


def find(
    condition: Condition, pipeline: Pipeline, records: Sequence[Record], options: Options, progress: Progress
) -> Found:
    """Answers and measures, but for what an earlier run has kept in the study's folder."""
    encoder = FeatureEncoder.from_pretrained(pipeline.encoder.name) if condition.untuned else pipeline.encoder
    vectors = options.output / "vectors"
    described = describe_records(encoder, records, vectors)
    prepared = condition.preparation.apply(described, Setting(condition.seed, vectors))
    bench = Bench(pipeline.reader, encoder, options.max_new_tokens, condition.seed)
    methods: list[Method] = [create_method(spec, bench) for spec in _specs(condition)]
    if altered := condition.preparation.altered:
        methods = [AlteredLists(method, f"{altered}, seed {condition.seed}") for method in methods]
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
    lines: list[Line | None] = []
    if condition.measure is not None:
        file = options.output / f"measured-{condition.file}.jsonl"
        lines = _measured(condition.measure, pipeline, records, evaluation.lists, file, progress)
    answers = {name: values_of(predictions, records) for name, predictions in evaluation.predictions.items()}
    return Found(condition, answers, average_precisions(records, evaluation.lists), lines, _models(pipeline))


def _models(pipeline: Pipeline) -> dict[str, str]:
    adapter = pipeline.reader.adapter
    dtype = str(pipeline.reader.model.llm.dtype).removeprefix("torch.")
    tuned = "no" if adapter.encoder_lora is None else "yes"
    return {"llm": adapter.config.llm.name, "dtype": dtype, "encoder": pipeline.encoder.name, "tuned encoder": tuned}


def _measured(
    measure: Measure,
    pipeline: Pipeline,
    records: Sequence[Record],
    lists: Sequence[RankedList],
    file: Path,
    progress: Progress,
) -> list[Line | None]:
    """A line of each list, also kept in `file`, from where a run goes on."""
    llm = pipeline.reader.model.llm
    settings = {"measure": measure.name, "llm": llm_fingerprint(llm), "dtype": str(llm.dtype)}
    settings |= {"encoder": pipeline.encoder.fingerprint} | adapter_settings(pipeline.reader.adapter)
    pairs = list(zip(records, lists, strict=True))
    digests = [digest_of({**settings, "answers": record.answers}, ranked) for record, ranked in pairs]
    known = _known(file) if measure.resumes else {}
    missing = [pair for pair, digest in zip(pairs, digests, strict=True) if digest not in known]
    found = iter(measure.lines(pipeline, [record for record, _ in missing], [ranked for _, ranked in missing]))
    lines: list[Line | None] = []
    with file.open("a", encoding="utf-8") as kept:
        for record, digest in zip(records, digests, strict=True):
            line = known.get(digest)
            if line is None and (new := next(found)) is not None:
                line = {"digest": digest, "id": record.id, "dataset": record.dataset, **new}
                kept.write(json.dumps(line) + "\n")
                kept.flush()
            lines.append(line)
            progress(measure.name, len(lines), len(records))
    write_whole(file, "".join(json.dumps(line) + "\n" for line in lines if line is not None))
    return lines


def _known(file: Path) -> dict[str, Line]:
    """Lines by digest; half a line, which a killed run may have left, is skipped."""
    known = {}
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else ():
        with suppress(ValueError, KeyError, TypeError):
            fields = json.loads(line)
            known[fields["digest"]] = fields
    return known
