"""What a study plans: the commands that make its adapters, and the conditions that it measures."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from r2ag.errors import InputError
from r2ag.evaluation.methods import Spec
from r2ag.evaluation.run import Order
from r2ag.pipeline import Pipeline
from r2ag.types import RankedList, Record

# Small enough for a laptop: 5 documents a list, one pass over the records. All adapters of a study share it.
RECIPE = (
    "--documents 1-5 --slots 2 --prompt few-shot-plain --relevance-direction --gold-relevance 1 --batch-size 2 "
    "--max-prompt-tokens 700"
)
RECORDS = 800


@dataclass(frozen=True)
class Options:
    """The user's options.

    Args:
        over: the values of what the study varies.
        train: files of training records and how many times each is taken; without them nothing is trained.
        records: training records of each run.
        recipe: further options of `r2ag train`.
        seeds: number of runs of what depends on chance (training, shuffling, noise); their seeds start at `seed`.
        methods: in place of the study's own.
    """

    data: tuple[Path, ...]
    output: Path
    over: tuple[str, ...]
    train: tuple[tuple[Path, float], ...] = ()
    records: int | None = RECORDS
    recipe: str = RECIPE
    limit: int | None = None
    seed: int = 0
    seeds: int = 1
    adapter: str = ""
    llm: str | None = None
    retriever: str | None = None
    methods: tuple[str, ...] = ()
    k: int | None = None
    max_new_tokens: int = 32
    batch_size: int = 1

    @property
    def all_seeds(self) -> range:
        """The seeds of the runs."""
        return range(self.seed, self.seed + self.seeds)

    def folder(self, name: str) -> Path:
        """The folder that a step makes; the name may hold any character."""
        return self.output / "adapters" / file_name(name)

    def numbers(self) -> list[int]:
        """The values of `over` as whole numbers from 1.

        Raises:
            InputError: one is something else.
        """
        for value in self.over:
            if not value.isdecimal() or int(value) < 1:
                raise InputError(f"--over is {value!r} here; give whole numbers from 1, as in 100,200.")
        return [int(value) for value in self.over]

    def condition(
        self, row: str, methods: tuple[str, ...] = (), adapter: str = "", k: int | None = None, **more: Any
    ) -> Condition:
        """A condition with the methods and the number of documents that the user names, else with these.

        Args:
            adapter: empty for the user's.
        """
        given = {"seed": self.seed} | more
        return Condition(row, self.methods or methods, adapter or self.adapter, k=self.k or k, **given)


@dataclass(frozen=True)
class Step:
    """One r2ag command that makes `folder`, its --output; the scores of `finder`, if any, are added to its records."""

    folder: Path
    command: tuple[str, ...]
    data: tuple[tuple[Path, float], ...]
    finder: str = ""

    @property
    def marker(self) -> Path:
        """A file that exists when the step is done."""
        return self.folder / ("adapter_config.json" if self.command[0] == "train-encoder" else "model.safetensors")

    def line(self, data: Sequence[tuple[Path, float]] = ()) -> list[str]:
        """The whole command; `data`, if any, replaces its own."""
        files = [str(file) if weight == 1 else f"{file}:{weight:g}" for file, weight in data or self.data]
        return [*self.command, "--data", *files, "--output", str(self.folder)]

    def __str__(self) -> str:
        return shlex.join(["r2ag", *self.line()])


def training(options: Options, name: str, seed: int, *changes: str, finder: str = "") -> Step:
    """An `r2ag train` with the recipe; `changes` are further options, which override it."""
    models = [("--llm", options.llm), ("--retriever", options.retriever)]
    named = [part for option, value in models if value and option not in changes for part in (option, value)]
    count = [] if options.records is None or "--limit" in changes else ["--limit", str(options.records)]
    shared = ("--vectors", str(options.output / "vectors"))
    command = ("train", *shlex.split(options.recipe), *named, *count, *shared, "--seed", str(seed), *changes)
    return Step(options.folder(f"{name}-seed{seed}"), command, options.train, finder)


def encoder_training(options: Options, seed: int, retriever: str | None) -> Step:
    """An `r2ag train-encoder` on the training records, each taken once."""
    named = ("--retriever", retriever) if retriever else ()
    data = tuple((file, 1.0) for file, _ in options.train)
    return Step(options.folder(f"encoder-seed{seed}"), ("train-encoder", *named, "--seed", str(seed)), data)


def with_trained(method: str, folders: Mapping[str, str]) -> str:
    """The method with the weights that were trained for it, where it needs some and names none."""
    spec = Spec.parse(method)
    return str(replace(spec, folder=folders[spec.base])) if spec.base in folders and not spec.folder else method


@dataclass(frozen=True)
class Setting:
    """What a preparation may need beside the lists."""

    seed: int
    vectors: Path | None


@dataclass(frozen=True)
class Preparation:
    """Changes described lists before they are ordered and cut.

    Args:
        altered: names the change where it alters vectors. A digest of an answer covers texts alone, so that the name
            tells these answers from others.
    """

    apply: Callable[[Sequence[RankedList], Setting], list[RankedList]]
    altered: str = ""


UNCHANGED = Preparation(lambda lists, setting: list(lists))

Line = Mapping[str, Any]
"""What was measured of one list."""


@dataclass(frozen=True)
class Measure:
    """Something measured of each record beside answers.

    Args:
        lines: measures the records' lists; None where there is nothing to measure.
        resumes: whether a line depends on its record alone, so that it can be kept for a later run.
    """

    name: str
    lines: Callable[[Pipeline, Sequence[Record], Sequence[RankedList]], Iterable[Line | None]]
    resumes: bool = False


@dataclass(frozen=True)
class Condition:
    """Lists, prepared one way, and the methods that answer from them.

    Args:
        row: its name in results; conditions of one row are repetitions with other seeds.
        adapter: the main one, by folder or hub name; empty for the shipped one.
        untuned: the adapter's encoder without its LoRA describes the lists.
    """

    row: str
    methods: tuple[str, ...] = ()
    adapter: str = ""
    preparation: Preparation = UNCHANGED
    order: Order = "encoder"
    k: int | None = None
    seed: int = 0
    untuned: bool = False
    measure: Measure | None = None

    @property
    def file(self) -> str:
        """Its part in names of files."""
        return file_name(f"{self.row}-seed{self.seed}")


PLAIN_RAG = ("", "rag")


@dataclass(frozen=True)
class Plan:
    """All that a study does.

    Args:
        reference: row and method that others are compared with; an empty row means each row's own.
        notes: what a reader of the results has to know.
    """

    conditions: tuple[Condition, ...]
    steps: tuple[Step, ...] = ()
    reference: tuple[str, str] | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        planned: Iterable[tuple[Condition, Sequence[Step]]],
        reference: tuple[str, str] | None = PLAIN_RAG,
        notes: tuple[str, ...] = (),
    ) -> Plan:
        """From conditions with the steps that each needs; a step that several need is done once."""
        pairs = list(planned)
        steps = dict.fromkeys(step for _, needed in pairs for step in needed)
        return cls(tuple(condition for condition, _ in pairs), tuple(steps), reference, notes)


def file_name(text: str) -> str:
    """Letters, digits and a few signs; a digest stands for what had to be replaced, so that no two names are equal."""
    plain = re.sub(r"[^\w.+-]+", "-", text)
    return plain if plain == text else f"{plain[:60]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
