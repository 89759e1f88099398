"""Plots of studies, by matplotlib without a screen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from r2ag.evaluation.intervals import Interval
from r2ag.studies.outcome import Outcome

Plots = dict[str, Figure]
"""By the names of their files."""
MARKERS = "osD^vPX*<>"
INCH_A_BAR = 0.3
SCORES = {"acc": "Acc", "f1": "F1"}
"""The scores that are drawn, with the labels of their axes."""


@dataclass(frozen=True)
class Point:
    """A place on the x axis (a number, or the name of a category) with a figure and its interval."""

    x: float | str
    y: Interval


Series = Mapping[str, Sequence[Point]]


def line_plots(panels: Mapping[str, Series], x: str, y: str) -> Figure:
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


def score_bars(outcome: Outcome) -> Plots:
    """Every row's and method's Acc and F1."""
    return {name: bars(outcome, name) for name in SCORES}


def bars(outcome: Outcome, name: str = "acc") -> Figure:
    """Every row's and method's Acc, or another of the scores."""
    several = len(outcome.rows) > 1

    def points(columns: np.ndarray) -> list[Point]:
        return [
            Point(_label(row, method, several, len(methods) > 1), outcome.interval(row, method, name, columns))
            for row, methods in outcome.rows.items()
            for method in methods
        ]

    return bar_plots(outcome.by_dataset(points), SCORES[name])


def score_lines(x: str) -> Callable[[Outcome], Plots]:
    """Every method's Acc and F1 over the rows, which are numbers."""
    return lambda outcome: {name: lines(outcome, x, {row: float(row) for row in outcome.rows}, name) for name in SCORES}


def lines(outcome: Outcome, x: str, places: Mapping[str, float], name: str = "acc") -> Figure:
    """Every method's Acc, or another of the scores, over the rows at their `places`."""

    def series(columns: np.ndarray) -> Series:
        found: dict[str, list[Point]] = {}
        for row, place in places.items():
            for method in outcome.rows.get(row, {}):
                found.setdefault(method, []).append(Point(place, outcome.interval(row, method, name, columns)))
        return found

    figure = line_plots(outcome.by_dataset(series), x, SCORES[name])
    for axes in figure.axes:
        axes.set_xticks(sorted(set(places.values())))
    return figure


def heat_maps(maps: Mapping[str, Sequence[Sequence[float]]], x: str, y: str) -> Figure:
    """A map a panel: rows from the bottom up, the first lowest."""
    figure, axes = _panels(len(maps), (5.0, 5.0))
    for one, (title, values) in zip(axes, maps.items(), strict=True):
        # Counted from 1, as in tables.
        extent = (0.5, len(values[0]) + 0.5, 0.5, len(values) + 0.5)
        drawn = one.imshow(values, origin="lower", aspect="auto", cmap="viridis", extent=extent)
        figure.colorbar(drawn, ax=one, shrink=0.8)
        one.set_xticks(range(1, len(values[0]) + 1))
        _label_axes(one, title, x, y)
    return figure


def _label(row: str, method: str, several_rows: bool, several_methods: bool) -> str:
    return ", ".join([row] * several_rows + [method] * (several_methods or not several_rows))


def _errors(points: Sequence[Point]) -> list[list[float]]:
    """Lengths of the two arms; by rounding, a bootstrap's interval may leave out its mean."""
    return [[max(p.y.mean - p.y.low, 0.0) for p in points], [max(p.y.high - p.y.mean, 0.0) for p in points]]


def _panels(count: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    across = min(count, 3)
    down = -(-count // across)
    figure = Figure(figsize=(size[0] * across, size[1] * down), layout="constrained")
    return figure, [figure.add_subplot(down, across, place + 1) for place in range(count)]


def _finish(axes: Axes, title: str, x: str, y: str) -> None:
    _label_axes(axes, title, x, y)
    axes.grid(axis="y", alpha=0.3)


def _label_axes(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(x)
    axes.set_ylabel(y)


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
