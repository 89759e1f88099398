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

from r2ag.errors import InputError
from r2ag.models.lora import save_lora
from r2ag.types import Record

if TYPE_CHECKING:
    from torch import nn

    from r2ag.encoder.encoder import FeatureEncoder


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
    """Trains a LoRA on pairs of query and relevant document, and writes it to `output` in peft's format.

    Each relevant document is contrasted with the record's own distractors and with all documents of the batch. No batch
    has a question twice, so that no relevant document is a negative of its own question.

    Raises:
        InputError: the records don't fill a single batch.
    """
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.sentence_transformer.training_args import BatchSamplers
    from torch import nn

    torch.manual_seed(config.seed)
    model = encoder.model
    for module in model.modules():
        # One epoch of a low-rank update does not overfit, and dropout doubles the time of a step on a CPU.
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    model.add_adapter(LoraConfig(r=config.lora_rank, lora_alpha=2 * config.lora_rank, target_modules="all-linear"))
    max_tokens, model.max_seq_length = model.max_seq_length, config.max_tokens
    pairs = Dataset.from_list(list(_pairs(records, config)))
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
            prompts=_prompts(encoder, config.negatives),
        ),
        train_dataset=pairs,
        loss=_loss(encoder, config.scale),
    )
    if len(pairs) >= config.batch_size:
        trainer.train()
    if not trainer.state.global_step:
        raise InputError(
            f"{len(records)} records are too few for one step of {config.batch_size} different questions and "
            "documents; give more."
        )
    model.max_seq_length = max_tokens
    save_lora(model.transformers_model, output, encoder.name)


def _loss(encoder: FeatureEncoder, scale: float) -> nn.Module:
    """InfoNCE over the similarity that the features use; dot products are as large as the encoder makes them."""
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from sentence_transformers.util import dot_score

    if encoder.similarity == "dot":
        return MultipleNegativesRankingLoss(encoder.model, scale=1.0, similarity_fct=dot_score)
    return MultipleNegativesRankingLoss(encoder.model, scale=scale)


def _prompts(encoder: FeatureEncoder, negatives: int) -> dict[str, str]:
    """By column, the text that `encode_query` and `encode_document` put before theirs."""
    own = encoder.model.prompts
    document = next((own[name] for name in ("document", "passage", "corpus") if name in own), "")
    columns = {"query": own.get("query", "")} | dict.fromkeys(["relevant", *_negatives(negatives)], document)
    return {name: prompt for name, prompt in columns.items() if prompt}


def _negatives(count: int) -> list[str]:
    return [f"negative_{i}" for i in range(count)]


def _pairs(records: Iterable[Record], config: EncoderTrainingConfig) -> Iterator[dict[str, str]]:
    """A row a relevant document, with some of its record's distractors; records with too few of these have none."""
    generator = random.Random(config.seed)
    for record in records:
        relevant = [document.passage for document in record.documents if document.relevant]
        distractors = [document.passage for document in record.documents if not document.relevant]
        for passage in relevant if len(distractors) >= config.negatives else []:
            chosen = generator.sample(distractors, config.negatives)
            yield {"query": record.question, "relevant": passage} | dict(
                zip(_negatives(config.negatives), chosen, strict=True)
            )
