"""The loss curves of a run as a picture."""

from __future__ import annotations

import json
from pathlib import Path

CURVES = (("language_loss", "L_LM, training"), ("matching_loss", "L_QDM, training"), ("eval_loss", "L, held back"))


def plot_losses(log: Path, picture: Path) -> None:
    """Draws log.jsonl's losses over steps; nothing where there is no log or no matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    if not log.is_file():
        return
    entries = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for name, label in CURVES:
        points = sorted({entry["step"]: float(entry[name]) for entry in entries if name in entry}.items())
        if points:
            axes.plot(*zip(*points, strict=True), label=label, marker="o" if name == "eval_loss" else None)
    axes.set_xlabel("step")
    axes.set_ylabel("loss (nats)")
    if axes.lines:
        figure.legend(loc="outside upper center", ncols=len(CURVES))
    figure.savefig(picture, dpi=150)
