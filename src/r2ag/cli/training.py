"""The work of `r2ag train`: what it starts from, checks, estimates and tells. Importing this loads torch."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from typer import Context

from r2ag.adapter.adapter import Adapter
from r2ag.adapter.loading import load_encoder
from r2ag.cli.adapters import loss_facts
from r2ag.cli.output import Facts, in_words, note
from r2ag.cli.settings import is_typed
from r2ag.encoder.encoder import FeatureEncoder
from r2ag.errors import InputError
from r2ag.method.former import FormerConfig
from r2ag.method.model import context_window, embedding_table
from r2ag.method.prompting import PromptBuilder, PromptTemplate
from r2ag.method.templates import plain_template, with_slots, with_slots_alone
from r2ag.models import load_llm
from r2ag.records.split import split_records
from r2ag.records.vectors import describe_records
from r2ag.training.config import TrainingConfig
from r2ag.training.run import Parts, train
from r2ag.types import VECTOR, Document, Record

TRIAL_STEPS = 3
HELD_BACK = 4  # records of each held-back part that a trial takes
ADAPTERS_OWN = (
    *("llm", "retriever", "encoder_lora", "method", "slots"),
    *("features", "positions", "relevance_direction", "prompt"),
)
"""Options that --start-from takes from the adapter."""


@dataclass(frozen=True)
class Start:
    """What a run begins with; `adapter` is the one that is trained on, if any."""

    parts: Parts
    template: PromptTemplate
    former: FormerConfig
    adapter: Adapter | None = None


def start_anew(llm: str, retriever: str, encoder_lora: Path | None, config: TrainingConfig, **sizes: Any) -> Start:
    """Loads the models; `sizes` are FormerConfig's.

    Raises:
        InputError: a model can't be loaded, or there is no such prompt.
    """
    template = plain_template(config.prompt)
    encoder = FeatureEncoder.from_pretrained(retriever, encoder_lora)
    model, tokenizer = load_llm(llm)
    if config.method == "xrag":
        sizes |= {"features": (VECTOR,), "vector_size": encoder.dimension}
        template = with_slots_alone(template)
    elif config.method != "raft":
        template = with_slots(template)
    former = FormerConfig(llm_hidden_size=int(embedding_table(model).shape[1]), **sizes)
    return Start(Parts(model, tokenizer, encoder, llm), template, former)


def start_from_adapter(name: str, context: Context, config: TrainingConfig) -> tuple[Start, TrainingConfig]:
    """Loads an adapter and its models; returns the settings with the adapter's method and prompt.

    Raises:
        InputError: they can't be loaded, or an option names what is the adapter's own.
    """
    for option in ADAPTERS_OWN:
        if is_typed(context, option):
            raise InputError(f"--start-from takes --{option.replace('_', '-')} from the adapter; leave it out.")
    adapter = Adapter.from_pretrained(name)
    own = adapter.config
    model, tokenizer = load_llm(own.llm.name)
    start = Start(Parts(model, tokenizer, load_encoder(adapter), own.llm.name), own.template, own.former, adapter)
    return start, replace(config, method=own.method, prompt=own.plain_prompt)


def check_settings(records: Sequence[Record], start: Start, config: TrainingConfig) -> None:
    """Checks that settings go together; builds the longest prompt, since one that is too long would stop the run later.

    Raises:
        InputError: they don't, or the prompt does not fit.
    """
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


def run_facts(adapter: Adapter, work: Path) -> Facts:
    """What a finished run tells: the losses on held-back records, the calibration, and where things are."""
    calibration = adapter.config.calibration
    return [
        *loss_facts(adapter.config.training),
        ("probability", f"sigmoid({calibration.slope:.3f} · logit {calibration.intercept:+.3f})"),
        ("threshold", f"{calibration.threshold:.3f}, from {calibration.fitted_on}"),
        ("adapter", adapter.folder),
        ("log, checkpoints", work),
    ]


def estimate(records: Sequence[Record], start: Start, config: TrainingConfig) -> Facts:
    """How long a whole run would take and how much memory, from a run on a few of the records."""
    split = split_records(records, config.held_back, config.seed)
    trained = split.training[: TRIAL_STEPS * config.batch_size]
    few = [*trained, *(r for part in (split.stopping, split.calibration, split.threshold) for r in part[:HELD_BACK])]
    note(f"Trying {TRIAL_STEPS} steps on {len(few)} records …")
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "vectors"
        started = time.perf_counter()
        describe_records(start.parts.encoder, few, cache)
        encoding_s = time.perf_counter() - started
        once = replace(config, epochs=1.0, evaluations=1, matching_epochs=1)
        started = time.perf_counter()
        output = Path(folder) / "adapter"
        adapter = train(few, start.parts, start.template, output, once, start.former, cache, start=start.adapter)
        whole_s = time.perf_counter() - started
    steps_taken, training_s, evaluating_s = _timings(adapter)
    passages = _passages(records)
    encoding_s *= passages / _passages(few)
    # The model's own answers to learn from are what is left of the time.
    answering_s = whole_s - training_s - evaluating_s if config.targets != "gold" else 0.0
    answering_s *= len(split.training) / len(trained)
    steps = max(1, round(config.epochs * len(split.training)) // config.batch_size) if config.epochs else 0
    step_s = training_s / steps_taken
    evaluations = min(config.evaluations, steps)
    evaluation_s = evaluating_s * len(split.stopping) / min(HELD_BACK, len(split.stopping))
    total_s = encoding_s + answering_s + steps * step_s + evaluations * evaluation_s
    return [
        ("records", f"{len(split.training)} to train on, {len(records) - len(split.training)} held back"),
        ("encoding", f"{passages} passages in {in_words(encoding_s)}; once, then cached"),
        *([("own answers", f"{in_words(answering_s)}, once")] if answering_s else []),
        ("training", f"{steps} steps of {step_s:.1f} s: {in_words(steps * step_s)}"),
        ("checks", f"{evaluations} of {in_words(evaluation_s)} each, on held-back records"),
        ("in all", f"about {in_words(total_s)}"),
        ("memory", f"{peak_memory() / 2**30:.1f} GiB at most"),
        ("written", "nothing"),
    ]


def peak_memory() -> int:
    """The most memory that was in use, in bytes: the GPU's where there is one, else this process's (0 if unknown)."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else int(peak) * 1024


def _timings(adapter: Adapter) -> tuple[int, float, float]:
    """Steps, seconds that they took, and seconds of one evaluation, from the trial's log."""
    history = adapter.config.training["history"]
    evaluations = [float(entry["eval_runtime"]) for entry in history if "eval_runtime" in entry]
    summary = next(entry for entry in history if "train_runtime" in entry)
    steps = int(summary["step"])
    return steps, max(0.0, float(summary["train_runtime"]) - sum(evaluations)), evaluations[0] if evaluations else 0.0


def _passages(records: Sequence[Record]) -> int:
    return len({document.passage for record in records for document in record.documents})
