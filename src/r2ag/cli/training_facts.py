"""What a training run found, in facts for people: after `r2ag train`, and in `r2ag info`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from r2ag.adapter.adapter import Adapter


def training_facts(adapter: Adapter, work: Path) -> list[tuple[str, object]]:
    """What a finished run tells: the losses on held-back records, the calibration, and where things are."""
    calibration = adapter.config.calibration
    return [
        *loss_facts(adapter.config.training),
        ("probability", f"sigmoid({calibration.slope:.3f} · logit {calibration.intercept:+.3f})"),
        ("threshold", f"{calibration.threshold:.3f}, from {calibration.fitted_on}"),
        ("adapter", adapter.folder),
        ("log, checkpoints", work),
    ]


def loss_facts(training: Mapping[str, Any]) -> list[tuple[str, object]]:
    """Records and held-back losses of a run, as far as an adapter tells them."""
    records = training.get("records", {})
    evaluated = [entry for entry in training.get("history", ()) if "eval_loss" in entry]
    facts: list[tuple[str, object]] = []
    if "training" in records:
        held_back = sum(records.get(part, 0) for part in ("stopping", "calibration", "threshold"))
        names = ", ".join(records.get("datasets", {}))
        facts.append(("records", f"{records['training']} to train on, {held_back} held back ({names})"))
    if evaluated:
        best = min(evaluated, key=lambda entry: float(entry["eval_loss"]))
        facts.append(("held-back loss", " → ".join(f"{float(entry['eval_loss']):.3f}" for entry in evaluated)))
        facts.append(("best", f"{float(best['eval_loss']):.3f} at step {best.get('step', '?')}"))
    return facts
