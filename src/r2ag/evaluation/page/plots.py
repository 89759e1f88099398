"""Plots as SVG text, in the colours of the page around them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

WIDTH = 560
LABELS = 170  # room for names
ROW = 24
TOP, BOTTOM = 30, 30
CELL = 18


def interval_plot(methods: Mapping[str, Mapping[str, Any]], figure: str, title: str) -> str:
    """Each method's mean and 95 % interval, one row a method."""
    highest = max(m[f"{figure}_ci95"][1] for m in methods.values()) or 1.0
    limit = min(1.0, _rounded_up(highest))
    height = TOP + ROW * len(methods) + BOTTOM

    def x(value: float) -> float:
        return LABELS + value / limit * (WIDTH - LABELS - 20)

    marks = [_text(LABELS, 16, title, "title"), *_ticks(limit, x, TOP, height - BOTTOM)]
    for row, (name, m) in enumerate(methods.items()):
        y = TOP + ROW * row + ROW / 2
        low, high = m[f"{figure}_ci95"]
        said = f"{name}: {m[figure]:.3f} [{low:.3f}, {high:.3f}]"
        marks.append(
            f"<g><title>{escape(said)}</title>{_text(LABELS - 10, y + 4, name, 'end')}"
            f'<line class="interval" x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<circle cx="{x(m[figure]):.1f}" cy="{y:.1f}" r="4.5"/></g>'
        )
    return _svg(WIDTH, height, title, marks)


def token_plot(methods: Mapping[str, Mapping[str, Any]]) -> str:
    """Acc against prompt tokens; names stand in a column of their own, where they can't overlap."""
    height, right = max(240, TOP + 16 * len(methods) + BOTTOM), WIDTH - LABELS
    most = max(m["prompt_tokens_mean"] for m in methods.values()) or 1.0
    limit = min(1.0, _rounded_up(max(m["acc"] for m in methods.values())))

    def x(tokens: float) -> float:
        return 40 + tokens / most * (right - 60)

    def y(value: float) -> float:
        return height - BOTTOM - value / limit * (height - TOP - BOTTOM)

    marks = [_text(40, 16, "Acc against prompt tokens", "title")]
    marks += [
        f'<line class="grid" x1="40" x2="{right}" y1="{y(v):.1f}" y2="{y(v):.1f}"/>'
        + _text(34, y(v) + 4, f"{v:.2f}", "end")
        for v in _steps(limit)
    ]
    marks += [_text(x(most * share), height - 10, f"{most * share:.0f}", "middle") for share in (0, 0.5, 1)]
    placed = sorted(methods.items(), key=lambda item: -item[1]["acc"])
    for place, (name, m) in zip(_apart([y(m["acc"]) for _, m in placed], height), placed, strict=True):
        at, value = x(m["prompt_tokens_mean"]), y(m["acc"])
        said = f"{name}: Acc {m['acc']:.3f}, {m['prompt_tokens_mean']:.0f} prompt tokens"
        marks.append(
            f'<g><title>{escape(said)}</title><line class="leader" x1="{at:.1f}" y1="{value:.1f}" x2="{right + 4}" '
            f'y2="{place:.1f}"/><circle cx="{at:.1f}" cy="{value:.1f}" r="4.5"/>{_text(right + 8, place + 4, name)}</g>'
        )
    return _svg(WIDTH, height, "Acc against prompt tokens", marks)


def heat_map(values: Sequence[Sequence[float]], title: str, marked: Sequence[bool] = ()) -> str:
    """Rows are layers, the first on top; columns are documents in their order. The strongest cell is the darkest."""
    most = max((value for row in values for value in row), default=0.0) or 1.0
    columns = len(values[0]) if values else 0
    width, height = 60 + CELL * columns, CELL * (len(values) + 1) + 6
    marks = list[str]()
    for layer, row in enumerate(values):
        y = CELL * layer
        marks.append(_text(44, y + 13, str(layer + 1), "end"))
        marks += [
            f'<rect class="heat" x="{50 + CELL * column}" y="{y}" width="{CELL - 1}" height="{CELL - 1}" '
            f'fill-opacity="{max(value, 0) / most:.3f}"><title>layer {layer + 1}, document {column + 1}: {value:.4f}'
            "</title></rect>"
            for column, value in enumerate(row)
        ]
    foot = CELL * len(values) + 14
    names = [f"{column + 1}{'★' if column < len(marked) and marked[column] else ''}" for column in range(columns)]
    marks += [_text(58 + CELL * column, foot, name, "middle") for column, name in enumerate(names)]
    return _svg(width, height, title, marks)


def _apart(wanted: Sequence[float], height: float) -> list[float]:
    """Rising places near those that are wanted, at least a line apart and within the plot."""
    line, places = 15.0, list[float]()
    for place in wanted:
        places.append(max(place, places[-1] + line if places else TOP))
    for index in range(len(places) - 1, -1, -1):
        below = places[index + 1] - line if index + 1 < len(places) else height - 8
        places[index] = min(places[index], below)
    return places


def _rounded_up(value: float) -> float:
    """The next tenth that leaves some room."""
    return (int(value * 10) + 1) / 10


def _steps(limit: float) -> list[float]:
    step = 0.1 if limit > 0.25 else 0.05
    return [step * number for number in range(round(limit / step) + 1)]


def _ticks(limit: float, x: Callable[[float], float], top: float, bottom: float) -> list[str]:
    return [
        f'<line class="grid" x1="{x(v):.1f}" x2="{x(v):.1f}" y1="{top}" y2="{bottom}"/>'
        + _text(x(v), bottom + 16, f"{v:.2f}", "middle")
        for v in _steps(limit)
    ]


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}"{f" class={kind!r}" if kind else ""}>{escape(text)}</text>'


def _svg(width: float, height: float, label: str, marks: Sequence[str]) -> str:
    opening = f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img" aria-label="{escape(label)}">'
    return f"{opening}{''.join(marks)}</svg>"
