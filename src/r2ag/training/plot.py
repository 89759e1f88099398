"""The loss curves of a run as a picture."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CURVES = (("language_loss", "L_LM, training"), ("matching_loss", "L_QDM, training"), ("eval_loss", "L, held back"))


def plot_losses(log: Path, picture: Path) -> None:
    """Draws log.jsonl's losses over steps; nothing where there is no log or no matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    if not log.is_file():
        return
    entries = list(_entries(log))
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


def _entries(log: Path) -> Iterator[dict[str, Any]]:
    """Whole lines; a run that was killed may have left half of one."""
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and "step" in entry:
            yield entry
