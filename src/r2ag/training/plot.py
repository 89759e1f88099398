"""The loss curves of a run as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

CURVES = (("language_loss", "L_LM, training"), ("matching_loss", "L_QDM, training"), ("eval_loss", "L, held back"))


def plot_losses(history: Sequence[Mapping[str, Any]], picture: Path) -> None:
    """Draws the losses of a trainer's log over steps; nothing where the log is empty or matplotlib is missing."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    if not history:
        return
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for name, label in CURVES:
        points = [(entry["step"], entry[name]) for entry in history if name in entry]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, marker="o" if name == "eval_loss" else None)
    axes.set_xlabel("step")
    axes.set_ylabel("loss (nats)")
    if axes.lines:
        figure.legend(loc="outside upper center", ncols=len(CURVES))
    figure.savefig(picture, dpi=150)
