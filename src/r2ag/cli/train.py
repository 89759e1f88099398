"""`r2ag train`, from records to an adapter, and `r2ag train-encoder`, to a LoRA on the feature encoder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Argument, Context, Option

from r2ag.cli import options
from r2ag.cli.checks import check_folder, check_output, need
from r2ag.cli.output import libraries_to_stderr, note, print_facts
from r2ag.errors import InputError
from r2ag.io.atomic import whole_folder
from r2ag.models.wheels import DEFAULT_LLM, DEFAULT_RETRIEVER
from r2ag.training.checkpoints import last_checkpoint, whole_checkpoints
from r2ag.training.config import Order, Targets, TrainingConfig
from r2ag.training.encoder import EncoderTrainingConfig
from r2ag.types import FEATURES

if TYPE_CHECKING:
    from r2ag.encoder.encoder import FeatureEncoder
    from r2ag.types import Record


DEFAULT = TrainingConfig()
# Learned tokens are themselves the parameters, so each step moves them by no more than the rate; the output of a
# projection moves by far more.
LEARNED_TOKENS_RATE = 0.03


def train(
    context: Context,
    data: Annotated[list[str], Option(metavar="FILE:WEIGHT…", show_default=False)],
    output: Annotated[Path, Option(metavar="DIR", show_default=False)],
    more: Annotated[list[str] | None, Argument(metavar="FILE:WEIGHT", hidden=True)] = None,
    llm: Annotated[str, Option(metavar="MODEL")] = DEFAULT_LLM,
    retriever: Annotated[str, Option(metavar="MODEL")] = DEFAULT_RETRIEVER,
    encoder_lora: Annotated[Path | None, Option(metavar="DIR", show_default="none")] = None,
    start_from: Annotated[str | None, Option(metavar="ADAPTER", show_default="none")] = None,
    method: Literal["r2ag", "learned-tokens", "xrag", "raft"] = "r2ag",
    lora: Annotated[bool, Option("--lora")] = False,
    epochs: Annotated[float, Option(min=0.0)] = DEFAULT.epochs,
    learning_rate: Annotated[float | None, Option(show_default="0.001; learned-tokens 0.03")] = None,
    lora_learning_rate: float = DEFAULT.lora_learning_rate,
    batch_size: Annotated[int, Option(min=1)] = DEFAULT.batch_size,
    matching_epochs: Annotated[int, Option(min=0)] = DEFAULT.matching_epochs,
    matching_weight: Annotated[float, Option(min=0.0)] = DEFAULT.matching_weight,
    freeze_relevance: Annotated[bool, Option("--freeze-relevance")] = False,
    slots: Annotated[int, Option(min=1, max=16)] = 2,
    features: Annotated[str, Option(metavar="NAME,…")] = ",".join(FEATURES),
    positions: Annotated[bool, Option("--positions/--no-positions")] = True,
    order: Order = "mixed",
    prompt: Annotated[str, Option(metavar="NAME")] = DEFAULT.prompt,
    targets: Targets = "gold",
    distillation: Annotated[float, Option(min=0.0)] = DEFAULT.distillation,
    max_prompt_tokens: Annotated[int, Option(min=64)] = DEFAULT.max_prompt_tokens,
    documents: Annotated[str, Option(metavar="LO-HI")] = f"{DEFAULT.fewest_documents}-{DEFAULT.most_documents}",
    relevance_direction: Annotated[bool, Option("--relevance-direction")] = False,
    gold_relevance: Annotated[float, Option(min=0.0, max=1.0)] = DEFAULT.gold_relevance,
    without_relevant: Annotated[float, Option(min=0.0, max=1.0)] = DEFAULT.without_relevant,
    feature_dropout: Annotated[float, Option(min=0.0, max=1.0)] = DEFAULT.feature_dropout,
    gradient_checkpointing: Annotated[bool, Option("--gradient-checkpointing")] = False,
    vectors: Annotated[Path | None, Option(metavar="DIR", show_default="DIR-run/vectors")] = None,
    limit: options.Limit = None,
    seed: options.Seed = DEFAULT.seed,
    resume: Annotated[bool, Option("--resume")] = False,
    dry_run: Annotated[bool, Option("--dry-run")] = False,
) -> None:
    """Train an adapter on question-answering records.

    A record is one line of JSON: id, question, answers, and documents with title, text and relevant (true or false).
    Some records are held back to stop training in time and to calibrate probabilities.

    Args:
        data: Files of records; the weight is how many times each is taken (0.5: half of it). More may follow.
        output: The adapter's folder; DIR-run holds log and checkpoints.
        llm: The LLM: a folder or a hub name.
        retriever: The feature encoder: a folder or a hub name.
        encoder_lora: The encoder's LoRA, made by r2ag train-encoder.
        start_from: Continue to train this adapter; LLM, encoder, prompt and sizes are its own.
        method: r2ag, or a baseline: embeddings by rank, vectors in place of texts, or the LLM alone.
        lora: Train the LLM too, through a LoRA.
        epochs: How often each record is read; 0 trains the relevance alone.
        learning_rate: The learning rate of AdamW, which falls linearly.
        lora_learning_rate: The LoRA's learning rate.
        batch_size: Lists of documents in each step.
        matching_epochs: Epochs that train the relevance alone, before the LLM is read; takes seconds.
        matching_weight: Weight of the relevance in the loss; with 0 only --matching-epochs train it.
        freeze_relevance: After --matching-epochs train only the embeddings that the LLM reads.
        slots: Embeddings in front of each document.
        features: What the R²-Former reads: these features, some of them, or scores that the documents have.
        positions: Tell the R²-Former each document's place.
        order: Order of the documents: by the encoder, shuffled, or half and half.
        prompt: The prompt family; best the one that r2ag choose finds for plain RAG.
        targets: What the LLM learns to write: gold answers; its own correct answers from the relevant documents alone;
            or all of those answers, each word with the probability that it has there.
        distillation: Weight of a loss that pulls each word to its probability with the relevant documents alone.
        max_prompt_tokens: The longest prompt; documents are shortened to fit.
        documents: How many documents a list has, drawn at random.
        relevance_direction: Let the relevance head's probability move the embeddings, too.
        gold_relevance: Share of lists that see the gold labels, falling from half-way on; needs --relevance-direction.
        without_relevant: Share of lists whose relevant documents are taken out.
        feature_dropout: Share of lists whose features are dropped.
        gradient_checkpointing: Compute each layer twice: slower, with less memory.
        vectors: A cache of the texts' vectors; runs may share it.
        resume: Continue a run that was stopped or killed.
        dry_run: Estimate how long it would take and how much memory; write nothing.

    Examples:
        r2ag train --data records.jsonl --output my-adapter --dry-run
        r2ag train --data nq.jsonl.gz hotpotqa.jsonl.gz:0.5 --output my-adapter
        r2ag train --data nq.jsonl.gz --output my-adapter --resume
        r2ag train --data nq.jsonl.gz --output joint --lora --llm Qwen/Qwen3-0.6B
    """
    need("train")
    files = [weighted_file(argument) for argument in [*data, *(more or [])]]
    fewest, most = document_range(documents)
    if learning_rate is None:
        learning_rate = LEARNED_TOKENS_RATE if method == "learned-tokens" else DEFAULT.learning_rate
    config = TrainingConfig(
        method=method,
        lora=lora,
        epochs=_positive(epochs, "--epochs") if epochs else 0.0,
        batch_size=batch_size,
        learning_rate=_positive(learning_rate, "--learning-rate"),
        lora_learning_rate=_positive(lora_learning_rate, "--lora-learning-rate"),
        matching_epochs=matching_epochs,
        matching_weight=matching_weight,
        freeze_relevance=freeze_relevance,
        order=order,
        fewest_documents=fewest,
        most_documents=most,
        without_relevant=without_relevant,
        feature_dropout=feature_dropout,
        gold_relevance=gold_relevance,
        distillation=distillation,
        prompt=prompt,
        targets=targets,
        max_prompt_tokens=max_prompt_tokens,
        gradient_checkpointing=gradient_checkpointing,
        seed=seed,
    )
    folder = check_output(output, "model.safetensors")
    work = folder.with_name(f"{folder.name}-run")
    if vectors is not None:
        check_folder(vectors, "--vectors")
    if resume and not dry_run:
        last_checkpoint(work)
    elif whole_checkpoints(work) and not dry_run:
        raise InputError(
            f"{work} holds the checkpoints of an earlier run; continue it with --resume, or remove that folder first."
        )
    records = _records(files, limit, config)
    with libraries_to_stderr() as stdout:
        note("Loading the models …")
        from r2ag.cli.training import check_settings, estimate, run_facts, start_anew, start_from_adapter
        from r2ag.training.run import train as run

        if start_from is None:
            names = tuple(features.split(","))
            sizes = {"slots": slots, "features": names, "positions": positions}
            start = start_anew(llm, retriever, encoder_lora, config, relevance_direction=relevance_direction, **sizes)
        else:
            start, config = start_from_adapter(start_from, context, config)
        check_settings(records, start, config)
        if dry_run:
            print_facts(stdout, *estimate(records, start, config))
            return
        cache = vectors or work / "vectors"
        parts, template, former = start.parts, start.template, start.former
        try:
            adapter = run(records, parts, template, folder, config, former, cache, resume=resume, start=start.adapter)
        except KeyboardInterrupt:
            if whole_checkpoints(work):
                note(f"The same command with --resume continues from the last checkpoint in {work}.")
            raise
        if os.environ.get("RANK", "0") == "0":
            print_facts(stdout, *run_facts(adapter, work))


def _records(files: Sequence[tuple[Path, float]], limit: int | None, config: TrainingConfig) -> list[Record]:
    from r2ag.records.split import mix, sample, split_records

    records = sample(mix(files, config.seed), limit, config.seed)
    split = split_records(records, config.held_back, config.seed)
    if not all((split.training, split.stopping, split.calibration, split.threshold)):
        raise InputError(f"{len(records)} records are too few to train on and hold some back; give some hundreds.")
    return records


def weighted_file(argument: str) -> tuple[Path, float]:
    """FILE or FILE:WEIGHT; a file whose name ends in a colon and a number is taken as it is."""
    name, _, weight = argument.rpartition(":")
    if name and not Path(argument).exists():
        try:
            return Path(name), float(weight)
        except ValueError:
            pass
    return Path(argument), 1.0


def document_range(argument: str) -> tuple[int, int]:
    """LO-HI, or one number for both.

    Raises:
        InputError: it is neither.
    """
    low, dash, high = argument.partition("-")
    if not low.isdecimal() or (dash and not high.isdecimal()):
        raise InputError(f"--documents is {argument!r}; give two numbers as in 1-10.")
    return int(low), int(high if dash else low)


def _positive(value: float, option: str) -> float:
    """The value.

    Raises:
        InputError: it is not above 0, or not finite.
    """
    if not 0 < value < float("inf"):
        raise InputError(f"{option} is {value:g}; give a number above 0.")
    return value


ENCODER_DEFAULT = EncoderTrainingConfig()


def train_encoder(
    data: options.RecordFiles,
    output: Annotated[Path, Option(metavar="DIR", show_default=False)],
    more: options.MoreFiles = None,
    retriever: Annotated[str, Option(metavar="MODEL")] = DEFAULT_RETRIEVER,
    epochs: float = ENCODER_DEFAULT.epochs,
    batch_size: Annotated[int, Option(min=2)] = ENCODER_DEFAULT.batch_size,
    negatives: Annotated[int, Option(min=1)] = ENCODER_DEFAULT.negatives,
    learning_rate: float = ENCODER_DEFAULT.learning_rate,
    limit: options.Limit = None,
    seed: options.Seed = ENCODER_DEFAULT.seed,
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
    _positive(epochs, "--epochs")
    _positive(learning_rate, "--learning-rate")
    folder = check_output(output, "adapter_config.json")
    split = split_records(mix([(file, 1.0) for file in [*data, *(more or [])]], seed), seed=seed)
    config = EncoderTrainingConfig(epochs, batch_size, negatives, learning_rate, seed=seed)
    records = sample(split.training, limit, seed)
    held_back = [record for record in split.stopping if any(document.relevant for document in record.documents)]
    _check_pairs(records, held_back, config)
    with libraries_to_stderr() as stdout:
        note("Loading the encoder …")
        from r2ag.encoder.encoder import FeatureEncoder
        from r2ag.training.encoder import train_encoder as train_lora

        encoder = FeatureEncoder.from_pretrained(retriever)
        note(f"Ranking {len(held_back)} held-back records …")
        before = _ranking(encoder, held_back)
        with whole_folder(folder) as new:
            train_lora(encoder, records, new, config)
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
