"""Plots of a report, drawn by matplotlib as SVG that stands in the page as an image."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = "osD^vPX*<>"


def interval_plot(methods: Mapping[str, Mapping[str, Any]], figure: str, title: str) -> str:
    """Each method's mean and 95 % interval, one row a method, the first on top."""
    means = np.array([m[figure] for m in methods.values()])
    low, high = np.array([m[f"{figure}_ci95"] for m in methods.values()]).T

    def draw(axes: Axes) -> None:
        # A bootstrap's interval may leave its mean out by rounding.
        arms = np.maximum([means - low, high - means], 0)
        axes.errorbar(means, range(len(means)), xerr=arms, fmt="o", capsize=2.5)
        axes.set_yticks(range(len(means)), list(methods))
        axes.set_ylim(len(means) - 0.4, -0.6)
        axes.set_xlim(left=0)
        axes.grid(axis="x", alpha=0.3)

    return _drawn(draw, title, (5.6, 0.9 + 0.3 * len(means)))


def token_plot(methods: Mapping[str, Mapping[str, Any]]) -> str:
    """Acc against prompt tokens."""
    points = [(name, m["prompt_tokens_mean"], m["acc"]) for name, m in methods.items()]

    def draw(axes: Axes) -> None:
        for number, (name, tokens, acc) in enumerate(points):
            axes.plot([tokens], [acc], MARKERS[number % len(MARKERS)], color=f"C{number % 9}", label=name)
        axes.set_xlabel("prompt tokens")
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)

    return _drawn(draw, "Acc against prompt tokens", (5.6, max(2.6, 0.9 + 0.22 * len(points))))


def heat_map(values: Sequence[Sequence[float]], title: str, marked: Sequence[bool]) -> str:
    """Rows are layers, the first on top; columns are documents in their order, with a star where marked."""
    names = [f"{place}{'★' if mark else ''}" for place, mark in enumerate(marked, start=1)]

    def draw(axes: Axes) -> None:
        shown = axes.imshow(values, cmap="Blues", vmin=0, aspect="auto")
        axes.set_xticks(range(len(names)), names)
        axes.set_yticks(range(len(values)), [str(layer) for layer in range(1, len(values) + 1)])
        axes.set_xlabel("document")
        axes.set_ylabel("layer")
        axes.figure.colorbar(shown, ax=axes)

    return _drawn(draw, title, (1.6 + 0.3 * len(values[0]), 1.2 + 0.2 * len(values)))


def _drawn(draw: Callable[[Axes], None], title: str, inches: tuple[float, float]) -> str:
    """The picture of one plot."""
    # Letters stay text, names with a $ are no formulas, and equal figures give equal bytes.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "r2ag", "text.parse_math": False}):
        figure = Figure(figsize=inches, layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(title)
        draw(axes)
        drawn = io.BytesIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    return picture(title, drawn.getvalue(), "svg+xml")


def picture(title: str, content: bytes, kind: str, caption: str = "") -> str:
    """An image whose content stands in the page itself. What it shows runs no script and loads nothing."""
    source = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    under = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure><img alt="{escape(title)}" src="{source}">{under}</figure>'
