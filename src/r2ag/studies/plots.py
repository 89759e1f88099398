"""Pictures of studies, by matplotlib without a screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from r2ag.evaluation.intervals import Interval
from r2ag.studies.outcome import Outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = "osD^vPX*<>"
INCH_A_BAR = 0.3


@dataclass(frozen=True)
class Point:
    """A place on the x axis (a number, or the name of a category) with a figure and its interval."""

    x: float | str
    y: Interval


def line_plots(panels: Mapping[str, Mapping[str, Sequence[Point]]], x: str, y: str) -> Figure:
    """A panel a data set, a line a series, with intervals as bars."""
    figure, axes = _panels(len(panels), (5.2, 4.0))
    for one, (title, series) in zip(axes, panels.items(), strict=True):
        for number, (name, points) in enumerate(series.items()):
            one.errorbar(
                [p.x for p in points],
                [p.y.mean for p in points],
                _errors(points),
                label=name,
                marker=MARKERS[number % len(MARKERS)],
                color=f"C{number % 10}",
                capsize=2.5,
            )
        _finish(one, title, x, y)
        one.set_ylim(bottom=0.0)
    _legend(figure, axes)
    return figure


def bar_plots(panels: Mapping[str, Sequence[Point]], x: str) -> Figure:
    """A panel a data set, a row a point, the first on top, with its interval."""
    rows = max(len(points) for points in panels.values())
    figure, axes = _panels(len(panels), (5.2, 1.2 + INCH_A_BAR * rows))
    for one, (title, points) in zip(axes, panels.items(), strict=True):
        places = list(range(len(points)))
        one.errorbar([p.y.mean for p in points], places, xerr=_errors(points), fmt="o", capsize=2.5)
        one.set_yticks(places, [str(p.x) for p in points])
        one.set_ylim(len(points) - 0.4, -0.6)
        _finish(one, title, x, "")
        one.set_xlim(left=0.0)
        one.grid(axis="x", alpha=0.3)
    return figure


def acc_lines(outcome: Outcome, x: str, places: Mapping[str, float], name: str = "acc") -> Figure:
    """Every method's Acc (or another score) over the rows, which stand at `places`."""
    panels: dict[str, dict[str, list[Point]]] = {}
    for title, columns in outcome.datasets().items():
        series: dict[str, list[Point]] = {}
        for row, place in places.items():
            for method in outcome.rows.get(row, {}):
                series.setdefault(method, []).append(Point(place, outcome.interval(row, method, name, columns)))
        panels[f"{title} ({len(columns)} records)"] = series
    figure = line_plots(panels, x, SCORES_IN_WORDS[name])
    for axes in figure.axes:
        axes.set_xticks(sorted(set(places.values())))
    return figure


def acc_bars(outcome: Outcome, name: str = "acc") -> Figure:
    """Every row's and method's Acc (or another score)."""
    several = len(outcome.rows) > 1
    panels = {
        f"{title} ({len(columns)} records)": [
            Point(_label(row, method, several, len(methods) > 1), outcome.interval(row, method, name, columns))
            for row, methods in outcome.rows.items()
            for method in methods
        ]
        for title, columns in outcome.datasets().items()
    }
    return bar_plots(panels, SCORES_IN_WORDS[name])


SCORES_IN_WORDS = {"acc": "Acc", "f1": "F1", "rouge_l": "Rouge-L"}


def heat_maps(maps: Mapping[str, Sequence[Sequence[float]]], x: str, y: str) -> Figure:
    """A map a panel: rows from the bottom up, the first lowest."""
    figure, axes = _panels(len(maps), (5.0, 5.0))
    for one, (title, values) in zip(axes, maps.items(), strict=True):
        # Counted from 1, as in tables.
        extent = (0.5, len(values[0]) + 0.5, 0.5, len(values) + 0.5)
        drawn = one.imshow(values, origin="lower", aspect="auto", cmap="viridis", extent=extent)
        figure.colorbar(drawn, ax=one, shrink=0.8)
        one.set_xticks(range(1, len(values[0]) + 1))
        one.set_title(title, fontsize=10)
        one.set_xlabel(x)
        one.set_ylabel(y)
    return figure


def _label(row: str, method: str, several_rows: bool, several_methods: bool) -> str:
    return ", ".join([row] * several_rows + [method] * (several_methods or not several_rows))


def _errors(points: Sequence[Point]) -> list[list[float]]:
    """Lengths of the two arms; a bootstrap's interval may leave its mean out by rounding."""
    return [[max(p.y.mean - p.y.low, 0.0) for p in points], [max(p.y.high - p.y.mean, 0.0) for p in points]]


def _panels(count: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    across = min(count, 3)
    down = -(-count // across)
    figure = Figure(figsize=(size[0] * across, size[1] * down), layout="constrained")
    axes = [figure.add_subplot(down, across, place + 1) for place in range(count)]
    return figure, axes


def _finish(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(axis="y", alpha=0.3)


def _legend(figure: Figure, axes: Sequence[Axes]) -> None:
    """One for all panels, below them."""
    entries = dict[str, Any]()
    for one in axes:
        handles, labels = one.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    if len(entries) > 1:
        figure.legend(
            list(entries.values()), list(entries), loc="outside lower center", ncols=min(4, len(entries)), fontsize=9
        )
