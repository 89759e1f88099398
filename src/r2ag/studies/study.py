"""What a study is: a plan, and how its outcome is tabulated and drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from r2ag.evaluation.table import Table
from r2ag.studies.base import Options, Plan
from r2ag.studies.outcome import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Titled:
    """A table with what stands above it."""

    title: str
    table: Table


@dataclass(frozen=True)
class Study:
    """One of the studies.

    Args:
        title: of its results.
        x: what the rows are called in tables.
    """

    title: str
    x: str
    plan: Callable[[Options], Plan]
    tables: Callable[[Outcome], list[Titled]]
    plots: Callable[[Outcome], Mapping[str, Figure]]
    figures: Callable[[Outcome], Mapping[str, Any]] = field(default=lambda outcome: {})
