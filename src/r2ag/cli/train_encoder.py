"""`r2ag train-encoder`: a LoRA on the feature encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated

from typer import Option

from r2ag.cli import options
from r2ag.cli.checks import check_output, need
from r2ag.cli.output import libraries_to_stderr, note, print_facts
from r2ag.errors import InputError
from r2ag.io.atomic import whole_folder
from r2ag.models.wheels import DEFAULT_RETRIEVER
from r2ag.training.encoder import EncoderTrainingConfig

if TYPE_CHECKING:
    from r2ag.encoder.encoder import FeatureEncoder
    from r2ag.types import Record

DEFAULT = EncoderTrainingConfig()


def train_encoder(
    data: options.RecordFiles,
    output: Annotated[Path, Option(metavar="DIR", show_default=False)],
    more: options.MoreFiles = None,
    retriever: Annotated[str, Option(metavar="MODEL")] = DEFAULT_RETRIEVER,
    epochs: float = DEFAULT.epochs,
    batch_size: Annotated[int, Option(min=2)] = DEFAULT.batch_size,
    negatives: Annotated[int, Option(min=1)] = DEFAULT.negatives,
    learning_rate: float = DEFAULT.learning_rate,
    limit: options.Limit = None,
    seed: options.Seed = DEFAULT.seed,
) -> None:
    """Fine-tune the feature encoder on records, as a LoRA that r2ag train puts into its adapter.

    The records that r2ag train holds back are held back here too, with the same seed; a third of them measures how
    well the encoder ranks before and after.

    Args:
        output: The LoRA's folder.
        retriever: The bi-encoder to tune: a folder or a hub name.
        epochs: How often each record is read.
        batch_size: Questions a step.
        negatives: Distractors of each record that it is compared with, besides those of the batch.
        learning_rate: The learning rate of AdamW, which falls linearly.

    Examples:
        r2ag train-encoder --data nq.jsonl.gz hotpotqa.jsonl.gz --output my-encoder
        r2ag train --data nq.jsonl.gz --output my-adapter --encoder-lora my-encoder
    """
    from r2ag.records.split import mix, sample, split_records

    need("train")
    if not (0 < epochs < float("inf") and 0 < learning_rate < float("inf")):
        raise InputError("--epochs and --learning-rate must be numbers above 0.")
    folder = check_output(output, "adapter_config.json")
    split = split_records(mix([(file, 1.0) for file in [*data, *(more or [])]], seed), seed=seed)
    config = EncoderTrainingConfig(epochs, batch_size, negatives, learning_rate, seed=seed)
    records = sample(split.training, limit, seed)
    held_back = [record for record in split.stopping if any(document.relevant for document in record.documents)]
    _check_pairs(records, held_back, config)
    with libraries_to_stderr() as stdout:
        note("Loading the encoder …")
        from r2ag.encoder.encoder import FeatureEncoder
        from r2ag.training.encoder import train_encoder as run

        encoder = FeatureEncoder.from_pretrained(retriever)
        note(f"Ranking {len(held_back)} held-back records …")
        before = _ranking(encoder, held_back)
        with whole_folder(folder) as new:
            run(encoder, records, new, config)
            after = _ranking(encoder, held_back)
        print_facts(
            stdout,
            ("records", f"{len(records)} to train on; ranking measured on {len(held_back)} held back"),
            ("before", before),
            ("after", after),
            ("written", f"{folder}; use it with r2ag train --encoder-lora"),
        )


def _ranking(encoder: FeatureEncoder, records: Sequence[Record]) -> str:
    """How well the encoder ranks: mean average precision, and the share of relevant documents that stand first."""
    from r2ag.encoder.encoder import rank_by_similarity
    from r2ag.evaluation.ranking import score_rankings
    from r2ag.records.vectors import describe_records

    lists = [rank_by_similarity(ranked) for ranked in describe_records(encoder, records)]
    scores = score_rankings([[bool(document.relevant) for document in ranked.documents] for ranked in lists])
    precision, first = fmean(s.average_precision for s in scores), fmean(s.recall_at_1 for s in scores)
    return f"MAP {precision:.3f}, recall at 1 {first:.3f}"


def _check_pairs(records: Sequence[Record], held_back: Sequence[Record], config: EncoderTrainingConfig) -> None:
    usable = sum(
        any(document.relevant for document in record.documents)
        and sum(not document.relevant for document in record.documents) >= config.negatives
        for record in records
    )
    if usable < config.batch_size or not held_back:
        raise InputError(
            f"Only {usable} records have a relevant document and {config.negatives} others, too few for steps of "
            f"{config.batch_size} with some held back; give more records, or smaller --batch-size and --negatives."
        )
