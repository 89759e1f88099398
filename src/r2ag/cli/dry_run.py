"""`r2ag train --dry-run`: a real run over a few records in a folder that is thrown away, timed and scaled up."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from r2ag.cli.output import in_words, note
from r2ag.records.split import split_records
from r2ag.training.config import TrainingConfig

if TYPE_CHECKING:
    from r2ag.adapter.adapter import Adapter
    from r2ag.cli.training_start import Start
    from r2ag.types import Record

STEPS = 3
HELD_BACK = 4  # records of each held-back part


@dataclass(frozen=True)
class Estimate:
    """Seconds that the parts of a whole run would take, and the memory of the trial in bytes."""

    training_records: int
    held_back_records: int
    passages: int
    steps: int
    evaluations: int
    encoding_s: float
    answering_s: float
    step_s: float
    evaluation_s: float
    peak_bytes: int

    @property
    def total_s(self) -> float:
        """The whole run."""
        return self.encoding_s + self.answering_s + self.steps * self.step_s + self.evaluations * self.evaluation_s

    def facts(self) -> list[tuple[str, object]]:
        """In words, for print_facts."""
        return [
            ("records", f"{self.training_records} to train on, {self.held_back_records} held back"),
            ("encoding", f"{self.passages} passages in {in_words(self.encoding_s)}; once, then cached"),
            *([("own answers", f"{in_words(self.answering_s)}, once")] if self.answering_s else []),
            ("training", f"{self.steps} steps of {self.step_s:.1f} s: {in_words(self.steps * self.step_s)}"),
            ("checks", f"{self.evaluations} of {in_words(self.evaluation_s)} each, on held-back records"),
            ("in all", f"about {in_words(self.total_s)}"),
            ("memory", f"{self.peak_bytes / 2**30:.1f} GiB at most"),
            ("written", "nothing"),
        ]


def estimate(records: Sequence[Record], start: Start, config: TrainingConfig) -> Estimate:
    """Trains on a few of the records and scales what that took."""
    from r2ag.records.vectors import describe_records
    from r2ag.training.run import train

    split = split_records(records, config.held_back, config.seed)
    few = [
        *split.training[: STEPS * config.batch_size],
        *split.stopping[:HELD_BACK],
        *split.calibration[:HELD_BACK],
        *split.threshold[:HELD_BACK],
    ]
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
    answering_s = whole_s - training_s - evaluating_s if config.targets != "gold" else 0.0
    passages, few_passages = _passages(records), _passages(few)
    steps = max(1, round(config.epochs * len(split.training)) // config.batch_size) if config.epochs else 0
    return Estimate(
        training_records=len(split.training),
        held_back_records=len(records) - len(split.training),
        passages=passages,
        steps=steps,
        evaluations=min(config.evaluations, steps),
        encoding_s=encoding_s * passages / few_passages,
        answering_s=answering_s * len(split.training) / len(split.training[: STEPS * config.batch_size]),
        step_s=training_s / steps_taken,
        evaluation_s=evaluating_s * len(split.stopping) / min(HELD_BACK, len(split.stopping)),
        peak_bytes=peak_memory(),
    )


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
