"""`r2ag train` from record files to a calibrated adapter."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from r2ag.adapter.adapter import Adapter
from r2ag.answering.reader import Reader
from r2ag.encoder.encoder import FeatureEncoder, weights_digest
from r2ag.errors import InputError
from r2ag.io.atomic import write_whole
from r2ag.method.features import list_features
from r2ag.method.former import FormerConfig, R2Former
from r2ag.method.model import R2AGModel, embedding_table
from r2ag.method.prompting import PromptBuilder, PromptTemplate
from r2ag.method.templates import plain_template
from r2ag.records.split import Split, split_records
from r2ag.records.vectors import describe_records
from r2ag.training.calibrate import calibrate
from r2ag.training.checkpoints import last_checkpoint
from r2ag.training.collator import Collator
from r2ag.training.config import TrainingConfig
from r2ag.training.lists import DescribedRecord, ListSampler, TrainingLists
from r2ag.training.lora import with_lora
from r2ag.training.matching import train_matching
from r2ag.training.own_answers import OwnAnswers
from r2ag.training.plot import plot_losses
from r2ag.training.recompute import recompute_layers
from r2ag.training.trainer import make_trainer
from r2ag.types import RankedList, Record

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


@dataclass(frozen=True)
class Parts:
    """The models that a run starts from."""

    llm: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    encoder: FeatureEncoder
    llm_name: str  # what the adapter remembers; a hub name says more to others than a cache folder


def train(
    records: Sequence[Record],
    parts: Parts,
    template: PromptTemplate,
    output: Path,
    config: TrainingConfig,
    former: FormerConfig | None = None,
    vector_cache: Path | None = None,
    resume: bool = False,
    start: Adapter | None = None,
) -> Adapter:
    """Trains, calibrates and writes an adapter to `output`; checkpoints and log stand in `output`-run beside it.

    Args:
        former: sizes of the R²-Former, where they are not the published ones.
        start: an adapter whose learning goes on, with its sizes and its template.

    Raises:
        InputError: no record is left to train on, there is nothing to resume, or it was started with other settings.
    """
    torch.manual_seed(config.seed)
    work = output.with_name(f"{output.name}-run")
    work.mkdir(parents=True, exist_ok=True)
    adapter = _new_adapter(parts, template, config, former) if start is None else _continued(start, parts)
    template = adapter.config.template
    llm_digest = weights_digest(parts.llm)  # a LoRA would change it
    identity = _identity(parts, llm_digest, template, records)
    told = asdict(config) | {"start": None if start is None else str(start.folder)}
    told |= {} if former is None else {"former": asdict(former)}
    _remember_settings(work / "settings.json", told, identity, resume)
    learns_relevance = isinstance(adapter.former, R2Former) and template.has_slots
    if not learns_relevance:
        config = replace(config, matching_weight=0.0, matching_epochs=0)
    checkpoint = str(last_checkpoint(work)) if resume else None
    split = split_records(records, config.held_back, config.seed)
    if not split.training or not split.stopping:
        raise InputError(f"{len(records)} records are too few to train on and hold some back; give more.")
    described = {name: _describe(parts.encoder, getattr(split, name), vector_cache) for name in _PARTS}
    llm = with_lora(parts.llm, config) if config.trains_llm else parts.llm.requires_grad_(False)
    if config.gradient_checkpointing:
        recompute_layers(llm)
    model = R2AGModel(llm, adapter.former)
    max_documents = adapter.config.former.max_documents
    if config.targets != "gold":
        name = f"own-answers-{adapter.config.plain_prompt}-{llm_digest}.jsonl"
        own = OwnAnswers(Reader(parts.llm, parts.tokenizer, adapter), work / name)
        described |= {name: own.to(described[name], config.targets == "own") for name in ("training", "stopping")}
        if not described["training"] or not described["stopping"]:
            raise InputError("The LLM answers no record by itself, so its own answers can't be the targets.")
    builder = PromptBuilder(parts.tokenizer, template, adapter.config.former.slots)

    def fits(ranked: RankedList) -> bool:
        return not builder.build(ranked.question, ranked.documents, config.max_prompt_tokens).shortened

    sampler = ListSampler(described["training"], config, max_documents, fits)
    # Lists without relevant documents teach L_QDM alone: nothing where the relevance is frozen.
    read = replace(config, without_relevant=0.0) if config.freeze_relevance else config
    names = adapter.config.former.features
    features, mask = list_features([d.ranked for d in described["training"]], parts.encoder.similarity, names)
    _check_known(features[mask], names)
    if start is None:
        adapter.former.standardise_by(features, mask)
    collator = Collator(
        builder,
        parts.encoder.similarity,
        names,
        features[mask].nanmean(dim=0),
        config.max_prompt_tokens,
        PromptBuilder(parts.tokenizer, plain_template(adapter.config.plain_prompt), 0) if config.has_teacher else None,
    )
    if not resume and learns_relevance:
        train_matching(model, sampler, collator, config)
    if config.freeze_relevance and isinstance(model.former, R2Former):
        if start is None and not config.matching_epochs:
            raise InputError("freeze_relevance needs matching_epochs, which teach the relevance that it keeps.")
        model.former.freeze_relevance()
    history = []
    if config.epochs:
        stopping = ListSampler(
            described["stopping"], replace(config, without_relevant=0.0, feature_dropout=0.0), max_documents, fits
        )
        held = [stopping.draw(index, "stopping") for index in range(len(described["stopping"]))]
        lists = TrainingLists(ListSampler(described["training"], read, max_documents, fits), config.epochs)
        trainer = make_trainer(model, lists, held, collator, config, work)
        trainer.train(resume_from_checkpoint=checkpoint)
        history = trainer.state.log_history
    model.eval()
    calibration = calibrate(adapter, described["calibration"], described["threshold"], _fitted_on(records, split))
    adapter = adapter.with_calibration(calibration)
    adapter.config = replace(adapter.config, training=_figures(history, records, split, config))
    if os.environ.get("RANK", "0") == "0":
        adapter.save_pretrained(output, llm if config.trains_llm else None)
        plot_losses(work / "log.jsonl", work / "loss.png")
    return adapter


def _check_known(features: torch.Tensor, names: Sequence[str]) -> None:
    for column, name in enumerate(names):
        if features[:, column].isnan().all():
            raise InputError(
                f'No training record\'s document has a score "{name}"; add it under "scores", or leave it out.'
            )


def _identity(parts: Parts, llm_digest: str, template: PromptTemplate, records: Sequence[Record]) -> dict[str, Any]:
    """What a run learns with and from, beside its settings."""
    return {
        "llm": f"{parts.llm_name}:{llm_digest}",
        "encoder": parts.encoder.fingerprint,
        "template": _digest(asdict(template)),
        "records": len(records),
        "digest of the records": _digest([asdict(record) for record in records]),
    }


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


def _remember_settings(file: Path, told: Mapping[str, Any], identity: Mapping[str, Any], resume: bool) -> None:
    """A run that is resumed with other settings would be neither run."""
    settings = json.loads(json.dumps({**told, **identity}))
    if resume and file.is_file():
        # What an older version could not yet be told, or did not note.
        assumed = json.loads(json.dumps(asdict(TrainingConfig()) | dict(identity)))
        before = assumed | json.loads(file.read_text(encoding="utf-8"))
        if changed := [name for name in sorted(settings | before) if settings.get(name) != before.get(name)]:
            name = changed[0]
            raise InputError(
                f"The run in {file.parent} was started with {name} = {before.get(name)}, not {settings.get(name)}; "
                "resume it with the settings that it had."
            )
    write_whole(file, json.dumps(settings, indent=2))


_PARTS = ("training", "stopping", "calibration", "threshold")


def _describe(encoder: FeatureEncoder, records: Sequence[Record], cache: Path | None) -> list[DescribedRecord]:
    lists = describe_records(encoder, records, cache, progress=True)
    return [DescribedRecord(record, ranked) for record, ranked in zip(records, lists, strict=True)]


def _new_adapter(
    parts: Parts, template: PromptTemplate, config: TrainingConfig, former: FormerConfig | None
) -> Adapter:
    size = int(embedding_table(parts.llm).shape[1])
    sizes = former or FormerConfig(llm_hidden_size=size)
    adapter = Adapter.create(config.method, parts.llm, parts.tokenizer, parts.encoder, sizes, template, parts.llm_name)
    adapter.config = replace(adapter.config, plain_prompt=config.prompt)
    if parts.encoder.lora is not None:
        adapter.attach_encoder_lora(parts.encoder.lora)
    return adapter


def _continued(start: Adapter, parts: Parts) -> Adapter:
    """A copy that learns on: the features keep their standardisation, which the weights rely on."""
    if start.llm_lora is not None:
        raise InputError(f"{start.folder} holds a LoRA of the LLM; only the adapter of a frozen one learns on.")
    start.check_llm(parts.llm, parts.tokenizer)
    start.check_encoder(parts.encoder)
    adapter = Adapter(start.config, copy.deepcopy(start.former), start.probes)
    if start.encoder_lora is not None:
        adapter.attach_encoder_lora(start.encoder_lora)
    return adapter


def _fitted_on(records: Sequence[Record], split: Split) -> str:
    names = sorted({record.dataset for record in records})
    return f"{len(split.calibration)} held-back records of {', '.join(names)}"


def _figures(
    history: Sequence[Mapping[str, Any]], records: Sequence[Record], split: Split, config: TrainingConfig
) -> dict[str, Any]:
    return {
        "settings": asdict(config),
        "records": {
            "datasets": {
                name: sum(r.dataset == name for r in records) for name in sorted({r.dataset for r in records})
            },
            **{name: len(getattr(split, name)) for name in _PARTS},
        },
        "history": json.loads(json.dumps(list(history), default=str)),
    }
