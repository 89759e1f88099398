"""`r2ag train --dry-run`: a real run over a few records in a temporary folder, timed and scaled up."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from r2ag.cli.output import Facts, in_words, note
from r2ag.records.split import split_records
from r2ag.training.config import TrainingConfig

if TYPE_CHECKING:
    from r2ag.adapter.adapter import Adapter
    from r2ag.cli.training import Start
    from r2ag.types import Record

STEPS = 3
HELD_BACK = 4  # records of each held-back part


def estimate(records: Sequence[Record], start: Start, config: TrainingConfig) -> Facts:
    """How long a whole run would take and how much memory, from a run on a few of the records."""
    from r2ag.records.vectors import describe_records
    from r2ag.training.run import train

    split = split_records(records, config.held_back, config.seed)
    trained = split.training[: STEPS * config.batch_size]
    few = [*trained, *(r for part in (split.stopping, split.calibration, split.threshold) for r in part[:HELD_BACK])]
    note(f"Trying {STEPS} steps on {len(few)} records …")
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
    import torch

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
