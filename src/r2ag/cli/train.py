"""`r2ag train`: from record files to an adapter."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from r2ag.cli.folders import check_folder, check_output
from r2ag.cli.options import Limit, Seed
from r2ag.cli.output import libraries_to_stderr, note, print_facts
from r2ag.cli.requirements import need_training
from r2ag.cli.training_facts import training_facts
from r2ag.cli.training_options import (
    TrainedMethod,
    TrainingOrder,
    TrainingTargets,
    document_range,
    positive,
    weighted_file,
)
from r2ag.cli.training_start import Start, learn_on, start_anew
from r2ag.errors import InputError
from r2ag.models.wheels import DEFAULT_LLM, DEFAULT_RETRIEVER
from r2ag.training.checkpoints import last_checkpoint, whole_checkpoints
from r2ag.training.config import TrainingConfig
from r2ag.types import FEATURES

if TYPE_CHECKING:
    from r2ag.adapter.adapter import Adapter
    from r2ag.types import Record

DEFAULT = TrainingConfig()
# Tokens that are themselves the parameters move by the rate at each step, a projection's output by far more.
LEARNED_TOKENS_RATE = 0.03


def train(
    context: typer.Context,
    data: Annotated[
        list[str],
        typer.Option(
            "--data",
            metavar="FILE:WEIGHT…",
            help="Files of records; behind a colon how many times each is taken (0.5: half of it). More may follow.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="The adapter's folder; DIR-run holds log and checkpoints.", show_default=False
        ),
    ],
    more: Annotated[list[str] | None, typer.Argument(metavar="FILE:WEIGHT", hidden=True)] = None,
    llm: Annotated[str, typer.Option("--llm", metavar="MODEL", help="A folder or a hub name.")] = DEFAULT_LLM,
    retriever: Annotated[
        str, typer.Option("--retriever", metavar="MODEL", help="The feature encoder: a folder or a hub name.")
    ] = DEFAULT_RETRIEVER,
    encoder_lora: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Its fine-tuning, made by r2ag train-encoder.", show_default="none"),
    ] = None,
    start_from: Annotated[
        str | None,
        typer.Option(
            metavar="ADAPTER",
            help="Train this adapter on; LLM, encoder, prompt and sizes are its own.",
            show_default="none",
        ),
    ] = None,
    method: Annotated[
        TrainedMethod,
        typer.Option(
            help="r2ag, or what it is compared with: embeddings by rank, vectors in place of texts, or the LLM alone."
        ),
    ] = TrainedMethod.r2ag,
    lora: Annotated[bool, typer.Option("--lora", help="Train the LLM too, through a LoRA.")] = False,
    epochs: Annotated[
        float, typer.Option(min=0.0, help="How often each record is read; 0 trains the relevance alone.")
    ] = DEFAULT.epochs,
    learning_rate: Annotated[
        float | None,
        typer.Option(help="Of AdamW, falling linearly.", show_default="0.001; learned-tokens 0.03"),
    ] = None,
    lora_learning_rate: Annotated[float, typer.Option(help="The same, of the LoRA.")] = DEFAULT.lora_learning_rate,
    batch_size: Annotated[int, typer.Option(min=1, help="Lists a step.")] = DEFAULT.batch_size,
    matching_epochs: Annotated[
        int, typer.Option(min=0, help="Of relevance alone before the LLM is read; takes seconds.")
    ] = DEFAULT.matching_epochs,
    matching_weight: Annotated[
        float, typer.Option(min=0.0, help="Of relevance in the loss; 0, and no epochs of it alone, leave it out.")
    ] = DEFAULT.matching_weight,
    freeze_relevance: Annotated[
        bool, typer.Option("--freeze-relevance", help="Keep what these taught; only the embeddings learn to be read.")
    ] = False,
    slots: Annotated[int, typer.Option(min=1, max=16, help="Embeddings in front of each document.")] = 2,
    features: Annotated[
        str, typer.Option(metavar="NAME,…", help="Without some of these, or with scores that the documents bring.")
    ] = ",".join(FEATURES),
    positions: Annotated[
        bool, typer.Option("--positions/--no-positions", help="Tell the R²-Former each document's place.")
    ] = True,
    order: Annotated[
        TrainingOrder, typer.Option(help="Of the documents: by the encoder, shuffled, or half and half.")
    ] = TrainingOrder.mixed,
    prompt: Annotated[
        str, typer.Option(metavar="NAME", help="The prompt family; best the one that r2ag choose finds for plain RAG.")
    ] = DEFAULT.prompt,
    targets: Annotated[
        TrainingTargets,
        typer.Option(
            help="What the LLM learns to write: gold answers, its own correct ones from the relevant documents alone, "
            "or all of those, as probably as from these documents."
        ),
    ] = TrainingTargets.gold,
    distillation: Annotated[
        float, typer.Option(min=0.0, help="Weight of saying each word as probably as to the relevant documents alone.")
    ] = DEFAULT.distillation,
    max_prompt_tokens: Annotated[
        int, typer.Option(min=64, help="Documents are shortened to fit.")
    ] = DEFAULT.max_prompt_tokens,
    documents: Annotated[
        str, typer.Option(metavar="LO-HI", help="Documents a list, drawn at random.")
    ] = f"{DEFAULT.fewest_documents}-{DEFAULT.most_documents}",
    relevance_direction: Annotated[
        bool,
        typer.Option("--relevance-direction", help="The relevance head's probability moves the embeddings too."),
    ] = False,
    gold_relevance: Annotated[
        float,
        typer.Option(
            min=0.0, max=1.0, help="Share of lists told the gold labels, until half-way; needs --relevance-direction."
        ),
    ] = DEFAULT.gold_relevance,
    contrast: Annotated[
        float, typer.Option(min=0.0, help="Weight of answering better with true features than with permuted ones.")
    ] = DEFAULT.contrast,
    without_relevant: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of lists that lose their relevant documents.")
    ] = DEFAULT.without_relevant,
    feature_dropout: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of lists that lose their features.")
    ] = DEFAULT.feature_dropout,
    gradient_checkpointing: Annotated[
        bool,
        typer.Option("--gradient-checkpointing", help="Compute each layer twice: slower, with less memory."),
    ] = False,
    vectors: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Vectors of texts are kept here; runs may share it.", show_default="DIR-run/vectors"
        ),
    ] = None,
    limit: Limit = None,
    seed: Seed = DEFAULT.seed,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a run that was stopped or killed.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how long it would take and how much memory; write nothing.")
    ] = False,
) -> None:
    """Train an adapter on question-answering records.

    A record is one line of JSON: id, question, answers, and documents with title, text and relevant (true or false).
    Some records are held back to stop training in time and to calibrate probabilities.
    """
    need_training()
    files = [weighted_file(argument) for argument in [*data, *(more or [])]]
    fewest, most = document_range(documents)
    config = replace(
        DEFAULT,
        method=method.value,
        lora=lora,
        epochs=positive(epochs, "--epochs") if epochs else 0.0,
        learning_rate=_rate(learning_rate, method),
        lora_learning_rate=positive(lora_learning_rate, "--lora-learning-rate"),
        batch_size=batch_size,
        matching_epochs=matching_epochs,
        matching_weight=matching_weight,
        freeze_relevance=freeze_relevance,
        order=order.value,
        prompt=prompt,
        targets=targets.value,
        distillation=distillation,
        max_prompt_tokens=max_prompt_tokens,
        fewest_documents=fewest,
        most_documents=most,
        gold_relevance=gold_relevance,
        contrast=contrast,
        without_relevant=without_relevant,
        feature_dropout=feature_dropout,
        gradient_checkpointing=gradient_checkpointing,
        seed=seed,
    )
    folder = check_output(output, "model.safetensors")
    work = folder.with_name(f"{folder.name}-run")
    if vectors is not None:
        check_folder(vectors, "--vectors")
    if not dry_run:
        _check_run(work, resume)
    records = _records(files, limit, config)
    with libraries_to_stderr() as stdout:
        note("Loading the models …")
        if start_from is None:
            sizes = {"slots": slots, "relevance_direction": relevance_direction, "features": tuple(features.split(","))}
            sizes |= {"positions": positions}
            start = start_anew(llm, retriever, encoder_lora, config, **sizes)
        else:
            start, config = learn_on(start_from, context, config)
        _check_settings(records, start, config)
        if dry_run:
            from r2ag.cli.dry_run import estimate

            print_facts(estimate(records, start, config).facts(), stdout)
            return
        adapter = _train(records, start, folder, config, vectors or work / "vectors", resume)
        if os.environ.get("RANK", "0") == "0":
            print_facts(training_facts(adapter, work), stdout)


def _rate(given: float | None, method: TrainedMethod) -> float:
    if given is not None:
        return positive(given, "--learning-rate")
    return LEARNED_TOKENS_RATE if method is TrainedMethod.learned_tokens else DEFAULT.learning_rate


def _check_run(work: Path, resume: bool) -> None:
    """A new run on top of an older one's checkpoints would mix the two."""
    if resume:
        last_checkpoint(work)
    elif whole_checkpoints(work):
        raise InputError(
            f"{work} holds the checkpoints of an earlier run; continue it with --resume, or remove that folder first."
        )


def _records(files: Sequence[tuple[Path, float]], limit: int | None, config: TrainingConfig) -> list[Record]:
    from r2ag.records.mixture import mix, sample
    from r2ag.records.split import split_records

    records = sample(mix(files, config.seed), limit, config.seed)
    split = split_records(records, config.held_back, config.seed)
    if not all((split.training, split.stopping, split.calibration, split.threshold)):
        raise InputError(f"{len(records)} records are too few to train on and hold some back; give some hundreds.")
    return records


def _check_settings(records: Sequence[Record], start: Start, config: TrainingConfig) -> None:
    """Settings that don't go together; a prompt that can't be built would end the run in its midst, so the longest list
    is tried with the longest question."""
    from r2ag.method.model import context_window
    from r2ag.method.prompting import PromptBuilder
    from r2ag.types import Document

    parts, former = start.parts, start.former
    if config.most_documents > former.max_documents:
        raise InputError(
            f"--documents goes up to {config.most_documents}; an adapter takes at most {former.max_documents}."
        )
    if config.gold_relevance and not former.relevance_direction:
        raise InputError("--gold-relevance needs --relevance-direction, which the labels move the embeddings along.")
    window = context_window(parts.llm)
    if window is not None and config.max_prompt_tokens > window:
        raise InputError(f"--max-prompt-tokens is {config.max_prompt_tokens}; this LLM reads at most {window}.")
    longest = max((record.question for record in records), key=len)
    builder = PromptBuilder(parts.tokenizer, start.template, former.slots)
    try:
        builder.build(longest, [Document("text")] * former.max_documents, config.max_prompt_tokens)
    except InputError:
        raise InputError(
            f"--max-prompt-tokens is {config.max_prompt_tokens}, too few for {former.max_documents} documents and the "
            f"longest question ({len(longest)} characters); give more."
        ) from None


def _train(
    records: Sequence[Record], start: Start, folder: Path, config: TrainingConfig, vectors: Path, resume: bool
) -> Adapter:
    from r2ag.training.run import train as run

    work = folder.with_name(f"{folder.name}-run")
    try:
        return run(
            records,
            start.parts,
            start.template,
            folder,
            config,
            start.former,
            vector_cache=vectors,
            resume=resume,
            start=start.adapter,
        )
    except KeyboardInterrupt:
        if whole_checkpoints(work):
            note(f"The same command with --resume continues from the last checkpoint in {work}.")
        raise
