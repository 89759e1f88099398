"""What a study is: a plan, and how its outcome is tabulated and drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from r2ag.errors import InputError
from r2ag.evaluation.table import Table
from r2ag.studies.base import Options, Plan
from r2ag.studies.outcome import Outcome
from r2ag.studies.plots import Plots


@dataclass(frozen=True)
class Titled:
    """A table with its title."""

    title: str
    table: Table


@dataclass(frozen=True)
class Study:
    """One of the studies.

    Args:
        name: of its command.
        tables, plots: makers of some of them; plots by the names of their files.
        figures: what results.json has beside the figures of answers.
        trains: it needs training records.
        answers: methods answer; else it measures something alone.
    """

    name: str
    title: str
    plan: Callable[[Options], Plan]
    tables: Sequence[Callable[[Outcome], list[Titled]]]
    plots: Sequence[Callable[[Outcome], Plots]]
    figures: Callable[[Outcome], Mapping[str, Any]] = lambda outcome: {}
    trains: bool = False
    answers: bool = True

    def planned(self, options: Options) -> Plan:
        """The plan.

        Raises:
            InputError: the options are not for this study.
        """
        if self.trains and not options.train:
            raise InputError(f"r2ag study {self.name} trains adapters; name training records with --train FILE,…")
        if not self.answers and options.methods:
            raise InputError(f"The study {self.name} answers nothing; leave out --methods.")
        return self.plan(options)
