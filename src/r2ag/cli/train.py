"""`r2ag train`: from record files to an adapter."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Argument, Context, Option

from r2ag.cli import options
from r2ag.cli.checks import check_folder, check_output, need
from r2ag.cli.output import libraries_to_stderr, note, print_facts
from r2ag.cli.training import (
    Start,
    check_settings,
    document_range,
    positive,
    run_facts,
    start_anew,
    start_from_adapter,
    weighted_file,
)
from r2ag.errors import InputError
from r2ag.models.wheels import DEFAULT_LLM, DEFAULT_RETRIEVER
from r2ag.training.checkpoints import last_checkpoint, whole_checkpoints
from r2ag.training.config import Order, Targets, TrainingConfig
from r2ag.types import FEATURES

if TYPE_CHECKING:
    from r2ag.adapter.adapter import Adapter
    from r2ag.types import Record

DEFAULT = TrainingConfig()
# Learned tokens are themselves the parameters, so each step moves them by no more than the rate; the output of a
# projection moves by far more.
LEARNED_TOKENS_RATE = 0.03


def train(
    context: Context,
    data: Annotated[
        list[str],
        Option(
            metavar="FILE:WEIGHT…",
            help="Files of records; the weight is how many times each is taken (0.5: half of it). More may follow.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path, Option(metavar="DIR", help="The adapter's folder; DIR-run holds log and checkpoints.", show_default=False)
    ],
    more: Annotated[list[str] | None, Argument(metavar="FILE:WEIGHT", hidden=True)] = None,
    llm: Annotated[str, Option(metavar="MODEL", help="A folder or a hub name.")] = DEFAULT_LLM,
    retriever: Annotated[
        str, Option(metavar="MODEL", help="The feature encoder: a folder or a hub name.")
    ] = DEFAULT_RETRIEVER,
    encoder_lora: Annotated[
        Path | None,
        Option(metavar="DIR", help="The encoder's LoRA, made by r2ag train-encoder.", show_default="none"),
    ] = None,
    start_from: Annotated[
        str | None,
        Option(
            metavar="ADAPTER",
            help="Continue to train this adapter; LLM, encoder, prompt and sizes are its own.",
            show_default="none",
        ),
    ] = None,
    method: Annotated[
        Literal["r2ag", "learned-tokens", "xrag", "raft"],
        Option(help="r2ag, or a baseline: embeddings by rank, vectors in place of texts, or the LLM alone."),
    ] = "r2ag",
    lora: Annotated[bool, Option("--lora", help="Train the LLM too, through a LoRA.")] = False,
    epochs: Annotated[
        float, Option(min=0.0, help="How often each record is read; 0 trains the relevance alone.")
    ] = DEFAULT.epochs,
    learning_rate: Annotated[
        float | None, Option(help="Of AdamW, falling linearly.", show_default="0.001; learned-tokens 0.03")
    ] = None,
    lora_learning_rate: Annotated[float, Option(help="The LoRA's learning rate.")] = DEFAULT.lora_learning_rate,
    batch_size: Annotated[int, Option(min=1, help="Lists of documents a step.")] = DEFAULT.batch_size,
    matching_epochs: Annotated[
        int, Option(min=0, help="Epochs that train the relevance alone, before the LLM is read; takes seconds.")
    ] = DEFAULT.matching_epochs,
    matching_weight: Annotated[
        float, Option(min=0.0, help="Weight of the relevance in the loss; with 0 only --matching-epochs train it.")
    ] = DEFAULT.matching_weight,
    freeze_relevance: Annotated[
        bool, Option("--freeze-relevance", help="After --matching-epochs train only the embeddings that the LLM reads.")
    ] = False,
    slots: Annotated[int, Option(min=1, max=16, help="Embeddings in front of each document.")] = 2,
    features: Annotated[
        str, Option(metavar="NAME,…", help="The features to use: these or some of them, or scores of the documents.")
    ] = ",".join(FEATURES),
    positions: Annotated[
        bool, Option("--positions/--no-positions", help="Tell the R²-Former each document's place.")
    ] = True,
    order: Annotated[Order, Option(help="Of the documents: by the encoder, shuffled, or half and half.")] = "mixed",
    prompt: Annotated[
        str, Option(metavar="NAME", help="The prompt family; best the one that r2ag choose finds for plain RAG.")
    ] = DEFAULT.prompt,
    targets: Annotated[
        Targets,
        Option(
            help="What the LLM learns to write: gold answers; its own correct answers from the relevant documents "
            "alone; or all of its answers from these, with their probabilities."
        ),
    ] = "gold",
    distillation: Annotated[
        float,
        Option(min=0.0, help="Weight of giving each word the probability that the relevant documents alone give."),
    ] = DEFAULT.distillation,
    max_prompt_tokens: Annotated[
        int, Option(min=64, help="The longest prompt; documents are shortened to fit.")
    ] = DEFAULT.max_prompt_tokens,
    documents: Annotated[
        str, Option(metavar="LO-HI", help="Documents a list, drawn at random.")
    ] = f"{DEFAULT.fewest_documents}-{DEFAULT.most_documents}",
    relevance_direction: Annotated[
        bool, Option("--relevance-direction", help="Let the relevance head's probability move the embeddings, too.")
    ] = False,
    gold_relevance: Annotated[
        float,
        Option(
            min=0.0,
            max=1.0,
            help="Share of lists told the gold labels, falling from half-way on; needs --relevance-direction.",
        ),
    ] = DEFAULT.gold_relevance,
    contrast: Annotated[
        float, Option(min=0.0, help="Weight of answering better with true features than with permuted ones.")
    ] = DEFAULT.contrast,
    without_relevant: Annotated[
        float, Option(min=0.0, max=1.0, help="Share of lists whose relevant documents are taken out.")
    ] = DEFAULT.without_relevant,
    feature_dropout: Annotated[
        float, Option(min=0.0, max=1.0, help="Share of lists whose features are dropped.")
    ] = DEFAULT.feature_dropout,
    gradient_checkpointing: Annotated[
        bool, Option("--gradient-checkpointing", help="Compute each layer twice: slower, with less memory.")
    ] = False,
    vectors: Annotated[
        Path | None,
        Option(metavar="DIR", help="A cache of the texts' vectors; runs may share it.", show_default="DIR-run/vectors"),
    ] = None,
    limit: options.Limit = None,
    seed: options.Seed = DEFAULT.seed,
    resume: Annotated[bool, Option("--resume", help="Continue a run that was stopped or killed.")] = False,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Estimate how long it would take and how much memory; write nothing.")
    ] = False,
) -> None:
    """Train an adapter on question-answering records.

    A record is one line of JSON: id, question, answers, and documents with title, text and relevant (true or false).
    Some records are held back to stop training in time and to calibrate probabilities.
    """
    need("train")
    files = [weighted_file(argument) for argument in [*data, *(more or [])]]
    fewest, most = document_range(documents)
    if learning_rate is None:
        learning_rate = LEARNED_TOKENS_RATE if method == "learned-tokens" else DEFAULT.learning_rate
    config = TrainingConfig(
        method=method,
        lora=lora,
        epochs=positive(epochs, "--epochs") if epochs else 0.0,
        batch_size=batch_size,
        learning_rate=positive(learning_rate, "--learning-rate"),
        lora_learning_rate=positive(lora_learning_rate, "--lora-learning-rate"),
        matching_epochs=matching_epochs,
        matching_weight=matching_weight,
        freeze_relevance=freeze_relevance,
        order=order,
        fewest_documents=fewest,
        most_documents=most,
        without_relevant=without_relevant,
        feature_dropout=feature_dropout,
        gold_relevance=gold_relevance,
        contrast=contrast,
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
        if start_from is None:
            names = tuple(features.split(","))
            sizes = {"slots": slots, "features": names, "positions": positions}
            start = start_anew(llm, retriever, encoder_lora, config, relevance_direction=relevance_direction, **sizes)
        else:
            start, config = start_from_adapter(start_from, context, config)
        check_settings(records, start, config)
        if dry_run:
            from r2ag.cli.dry_run import estimate

            print_facts(estimate(records, start, config), stdout)
            return
        adapter = _train(records, start, folder, config, vectors or work / "vectors", resume)
        if os.environ.get("RANK", "0") == "0":
            print_facts(run_facts(adapter, work), stdout)


def _records(files: Sequence[tuple[Path, float]], limit: int | None, config: TrainingConfig) -> list[Record]:
    from r2ag.records.mixture import mix, sample
    from r2ag.records.split import split_records

    records = sample(mix(files, config.seed), limit, config.seed)
    split = split_records(records, config.held_back, config.seed)
    if not all((split.training, split.stopping, split.calibration, split.threshold)):
        raise InputError(f"{len(records)} records are too few to train on and hold some back; give some hundreds.")
    return records


def _train(
    records: Sequence[Record], start: Start, folder: Path, config: TrainingConfig, vectors: Path, resume: bool
) -> Adapter:
    from r2ag.training.run import train as run

    parts, template, former = start.parts, start.template, start.former
    try:
        return run(records, parts, template, folder, config, former, vectors, resume=resume, start=start.adapter)
    except KeyboardInterrupt:
        work = folder.with_name(f"{folder.name}-run")
        if whole_checkpoints(work):
            note(f"The same command with --resume continues from the last checkpoint in {work}.")
        raise
