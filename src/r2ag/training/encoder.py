"""`r2ag train-encoder`: a small LoRA on the feature encoder, so that its similarities tell relevant from near.

The published results rest on a retriever fine-tuned on each data set. Here the base encoder stays as it is and a LoRA
of about a megabyte, shipped inside the adapter, does the tuning.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from r2ag.models.lora import save_lora
from r2ag.types import Record

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

    from r2ag.encoder import FeatureEncoder


@dataclass(frozen=True)
class EncoderTrainingConfig:
    """Settings of the encoder's fine-tuning; the loss is InfoNCE at temperature 1 / scale."""

    epochs: float = 1.0
    batch_size: int = 16
    negatives: int = 3  # of the record's own distractors, beside those of the rest of the batch
    learning_rate: float = 3e-4
    scale: float = 20.0
    lora_rank: int = 8
    max_tokens: int = 160
    bf16: bool = False
    seed: int = 0


def train_encoder(
    encoder: FeatureEncoder, records: Sequence[Record], output: Path, config: EncoderTrainingConfig
) -> None:
    """Trains a LoRA on query / relevant-document pairs and writes it to `output` (adapter_config.json + safetensors).

    Each relevant document is contrasted with the record's own distractors and with all documents of the batch; a batch
    never holds the same question twice, so that no relevant document serves as a negative of its own question.
    """
    import torch
    from peft import LoraConfig
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from sentence_transformers.sentence_transformer.training_args import BatchSamplers

    torch.manual_seed(config.seed)
    model = encoder.model
    _without_dropout(model)
    model.add_adapter(LoraConfig(r=config.lora_rank, lora_alpha=2 * config.lora_rank, target_modules="all-linear"))
    max_tokens, model.max_seq_length = model.max_seq_length, config.max_tokens
    trainer = SentenceTransformerTrainer(
        model=model,
        args=SentenceTransformerTrainingArguments(
            output_dir=str(output),
            num_train_epochs=config.epochs,
            per_device_train_batch_size=config.batch_size,
            learning_rate=config.learning_rate,
            warmup_steps=0.1,
            lr_scheduler_type="linear",
            batch_sampler=BatchSamplers.NO_DUPLICATES,
            bf16=config.bf16,
            use_cpu=not torch.cuda.is_available(),
            dataloader_drop_last=True,
            seed=config.seed,
            save_strategy="no",
            logging_steps=20,
            report_to=[],
        ),
        train_dataset=_pairs(records, config),
        loss=MultipleNegativesRankingLoss(model, scale=config.scale),
    )
    trainer.train()
    model.max_seq_length = max_tokens
    save_lora(model.transformers_model, output, encoder.name)


def _without_dropout(model: SentenceTransformer) -> None:
    """One epoch of a low-rank update does not overfit, and dropout doubles the time of a step on a CPU."""
    from torch import nn

    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0


def _pairs(records: Iterable[Record], config: EncoderTrainingConfig) -> Dataset:
    from datasets import Dataset

    rows = list(_rows(records, config.negatives, random.Random(config.seed)))
    return Dataset.from_list(rows)


def _rows(records: Iterable[Record], negatives: int, generator: random.Random) -> Iterator[dict[str, str]]:
    for record in records:
        relevant = [document.passage for document in record.documents if document.relevant]
        distractors = [document.passage for document in record.documents if not document.relevant]
        for passage in relevant if len(distractors) >= negatives else []:
            chosen = generator.sample(distractors, negatives)
            yield {"query": record.question, "relevant": passage} | {f"negative_{i}": t for i, t in enumerate(chosen)}
