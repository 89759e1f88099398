"""`r2ag train`: from records to a calibrated adapter, in five steps.

prepare          the adapter, the LLM, the split records with their vectors, and what makes batches of them
teach_relevance  stage one: L_QDM alone (matching.py); the LLM reads nothing
teach_reading    stage two: L_QDM + L_LM, by transformers' Trainer (trainer.py)
calibrate        probabilities and threshold, on records that no stage has read (calibrate.py)
save             the adapter's folder and a plot of the losses
"""

from __future__ import annotations

import copy
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from r2ag.adapter.adapter import Adapter
from r2ag.answering.reader import Reader
from r2ag.encoder.encoder import FeatureEncoder, weights_digest
from r2ag.errors import InputError
from r2ag.method.features import list_features
from r2ag.method.former import FormerConfig, R2Former
from r2ag.method.model import R2AGModel, embedding_table
from r2ag.method.prompting import PromptBuilder, PromptTemplate
from r2ag.method.templates import plain_template
from r2ag.records.split import Split, split_records
from r2ag.records.vectors import describe_records
from r2ag.training.calibrate import calibrate
from r2ag.training.checkpoints import last_checkpoint, remember_settings, short_digest
from r2ag.training.collator import Collator
from r2ag.training.config import TrainingConfig
from r2ag.training.lists import DescribedRecord, ListSampler, TrainingLists
from r2ag.training.matching import train_matching
from r2ag.training.own_answers import OwnAnswers
from r2ag.training.plot import plot_losses
from r2ag.training.recompute import recompute_layers
from r2ag.training.trainer import make_trainer
from r2ag.types import Record

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


@dataclass(frozen=True)
class Parts:
    """The models that a run starts from."""

    llm: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    encoder: FeatureEncoder
    llm_name: str  # what the adapter remembers; a hub name says more to others than a cache folder


@dataclass(frozen=True)
class Prepared:
    """What the stages, the calibration and the saving work with.

    Args:
        config: the run's settings, without L_QDM where the method has no relevance.
        split: the records, as they are counted in the adapter's figures.
        described: those that are used, by the names of the split's parts.
        work: the folder of checkpoints and log.
    """

    adapter: Adapter
    model: R2AGModel
    config: TrainingConfig
    split: Split
    described: Mapping[str, Sequence[DescribedRecord]]
    collator: Collator
    work: Path

    def sampler(self, part: str, **changes: Any) -> ListSampler:
        """Draws lists from the records of one part; `changes` are of the settings."""
        config = replace(self.config, **changes)
        return ListSampler(self.described[part], config, self.adapter.config.former.max_documents, self.collator.fits)


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
        start: an adapter to train on, with its sizes and its template.

    Raises:
        InputError: no record is left to train on, there is nothing to resume, or it was started with other settings.
    """
    torch.manual_seed(config.seed)
    work = output.with_name(f"{output.name}-run")
    work.mkdir(parents=True, exist_ok=True)
    adapter = _new_adapter(parts, template, config, former) if start is None else _continued(start, parts)
    llm_digest = weights_digest(parts.llm)  # a LoRA would change it
    told = asdict(config) | {"start": None if start is None else str(start.folder)}
    told |= {} if former is None else {"former": asdict(former)}
    identity = _identity(parts, llm_digest, adapter.config.template, records)
    remember_settings(work / "settings.json", told, identity, resume)
    checkpoint = last_checkpoint(work) if resume else None

    prepared = _prepare(records, parts, adapter, config, work, vector_cache, llm_digest, is_new=start is None)
    _teach_relevance(prepared, resume)
    history = _teach_reading(prepared, checkpoint)
    trained = _calibrated(prepared, history)
    _save(trained, prepared, history, output)
    return trained


def _identity(parts: Parts, llm_digest: str, template: PromptTemplate, records: Sequence[Record]) -> dict[str, Any]:
    """What a run learns with and from, beside its settings."""
    return {
        "llm": f"{parts.llm_name}:{llm_digest}",
        "encoder": parts.encoder.fingerprint,
        "template": short_digest(asdict(template)),
        "records": len(records),
        "digest of the records": short_digest([asdict(record) for record in records]),
    }


def _new_adapter(
    parts: Parts, template: PromptTemplate, config: TrainingConfig, former: FormerConfig | None
) -> Adapter:
    sizes = former or FormerConfig(llm_hidden_size=int(embedding_table(parts.llm).shape[1]))
    adapter = Adapter.create(config.method, parts.llm, parts.tokenizer, parts.encoder, sizes, template, parts.llm_name)
    adapter.config = replace(adapter.config, plain_prompt=config.prompt)
    if parts.encoder.lora is not None:
        adapter.attach_encoder_lora(parts.encoder.lora)
    return adapter


def _continued(start: Adapter, parts: Parts) -> Adapter:
    """A copy to train on: the features keep their standardisation, which the weights rely on."""
    if start.llm_lora is not None:
        raise InputError(f"{start.folder} holds a LoRA of the LLM; only the adapter of a frozen one learns on.")
    start.check_llm(parts.llm, parts.tokenizer)
    start.check_encoder(parts.encoder)
    adapter = Adapter(start.config, copy.deepcopy(start.former), start.probes)
    if start.encoder_lora is not None:
        adapter.attach_encoder_lora(start.encoder_lora)
    return adapter


def _prepare(
    records: Sequence[Record],
    parts: Parts,
    adapter: Adapter,
    config: TrainingConfig,
    work: Path,
    vector_cache: Path | None,
    llm_digest: str,
    is_new: bool,
) -> Prepared:
    if not (isinstance(adapter.former, R2Former) and adapter.config.template.has_slots):
        config = replace(config, matching_weight=0.0, matching_epochs=0)
    if is_new and config.freeze_relevance and not config.matching_epochs:
        raise InputError("freeze_relevance needs matching_epochs, which teach the relevance that it keeps.")
    split = split_records(records, config.held_back, config.seed)
    if not split.training or not split.stopping:
        raise InputError(f"{len(records)} records are too few to train on and hold some back; give more.")
    described = {part: _describe(parts.encoder, some, vector_cache) for part, some in vars(split).items()}
    if config.targets != "gold":
        file = work / f"own-answers-{adapter.config.plain_prompt}-{llm_digest}.jsonl"
        described |= _with_own_answers(OwnAnswers(Reader(parts.llm, parts.tokenizer, adapter), file), described, config)
    llm = with_lora(parts.llm, config) if config.trains_llm else parts.llm.requires_grad_(False)
    if config.gradient_checkpointing:
        recompute_layers(llm)
    collator = _collator(parts, adapter, config, described["training"], is_new)
    return Prepared(adapter, R2AGModel(llm, adapter.former), config, split, described, collator, work)


def _describe(encoder: FeatureEncoder, records: Sequence[Record], cache: Path | None) -> list[DescribedRecord]:
    lists = describe_records(encoder, records, cache, progress=True)
    return [DescribedRecord(record, ranked) for record, ranked in zip(records, lists, strict=True)]


def _with_own_answers(
    own: OwnAnswers, described: Mapping[str, Sequence[DescribedRecord]], config: TrainingConfig
) -> dict[str, list[DescribedRecord]]:
    answered = {part: own.to(described[part], config.targets == "own") for part in ("training", "stopping")}
    if not all(answered.values()):
        raise InputError("The LLM answers no record by itself, so its own answers can't be the targets.")
    return answered


def with_lora(llm: PreTrainedModel, config: TrainingConfig) -> Any:
    """The LLM with a new LoRA, on the layers that peft names for its family, else on all linear ones."""
    from peft import LoraConfig, get_peft_model
    from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING

    is_known = llm.config.model_type in TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING
    lora = LoraConfig(
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=None if is_known else "all-linear",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(llm, lora)


def _collator(
    parts: Parts, adapter: Adapter, config: TrainingConfig, training: Sequence[DescribedRecord], is_new: bool
) -> Collator:
    """Makes batches; a new adapter's features are standardised by those of the training records."""
    names = adapter.config.former.features
    features, mask = list_features([one.ranked for one in training], parts.encoder.similarity, names)
    real = features[mask]
    for name, column in zip(names, real.unbind(dim=-1), strict=False):  # vectors have one name and many columns
        if column.isnan().all():
            raise InputError(
                f'No training record\'s document has a score "{name}"; add it under "scores", or leave it out.'
            )
    if is_new:
        adapter.former.standardise_by(features, mask)
    return Collator(
        PromptBuilder(parts.tokenizer, adapter.config.template, adapter.config.former.slots),
        parts.encoder.similarity,
        names,
        real.nanmean(dim=0),
        config.max_prompt_tokens,
        PromptBuilder(parts.tokenizer, plain_template(adapter.config.plain_prompt), 0) if config.has_teacher else None,
    )


def _teach_relevance(prepared: Prepared, resume: bool) -> None:
    """Stage one. A resumed run has it behind itself: its checkpoint holds what was learned."""
    config, former = prepared.config, prepared.adapter.former
    if config.matching_epochs and not resume:
        train_matching(prepared.model, prepared.sampler("training"), prepared.collator, config)
    if config.freeze_relevance and isinstance(former, R2Former):
        former.freeze_relevance()


def _teach_reading(prepared: Prepared, checkpoint: Path | None) -> list[dict[str, Any]]:
    """Stage two, from a checkpoint where there is one; returns the log."""
    config = prepared.config
    if not config.epochs:
        return []
    stopping = prepared.sampler("stopping", without_relevant=0.0, feature_dropout=0.0)
    held = [stopping.draw(index, "stopping") for index in range(len(stopping.records))]
    # Lists without relevant documents train L_QDM alone, so that a frozen relevance learns nothing from them.
    changes = {"without_relevant": 0.0} if config.freeze_relevance else {}
    lists = TrainingLists(prepared.sampler("training", **changes), config.epochs)
    trainer = make_trainer(prepared.model, lists, held, prepared.collator, config, prepared.work)
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    return list(trainer.state.log_history)


def _calibrated(prepared: Prepared, history: Sequence[Mapping[str, Any]]) -> Adapter:
    """The adapter with its probabilities and threshold, and with the figures of its training."""
    prepared.model.eval()
    split, described = prepared.split, prepared.described
    datasets = Counter(record.dataset for part in vars(split).values() for record in part)
    fitted_on = f"{len(split.calibration)} held-back records of {', '.join(sorted(datasets))}"
    calibration = calibrate(prepared.adapter, described["calibration"], described["threshold"], fitted_on)
    adapter = prepared.adapter.with_calibration(calibration)
    figures = {
        "settings": asdict(prepared.config),
        "records": {
            "datasets": dict(sorted(datasets.items())),
            **{name: len(part) for name, part in vars(split).items()},
        },
        "history": json.loads(json.dumps(list(history), default=str)),
    }
    adapter.config = replace(adapter.config, training=figures)
    return adapter


def _save(adapter: Adapter, prepared: Prepared, history: Sequence[Mapping[str, Any]], output: Path) -> None:
    """By the first process alone, where several train together."""
    if os.environ.get("RANK", "0") == "0":
        adapter.save_pretrained(output, prepared.model.llm if prepared.config.trains_llm else None)
        plot_losses(history, prepared.work / "loss.png")
