"""What a study plans: what it makes and what it measures."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from r2ag.errors import InputError
from r2ag.evaluation.methods import Spec
from r2ag.types import RankedList, Record

if TYPE_CHECKING:
    from r2ag.pipeline import Pipeline

# Small enough for a laptop: 5 documents a list, one pass over the records. What is compared has the same.
RECIPE = (
    "--documents 1-5 --slots 2 --prompt few-shot-plain --relevance-direction --gold-relevance 1 --batch-size 2 "
    "--max-prompt-tokens 700"
)
RECORDS = 800


@dataclass(frozen=True)
class Options:
    """What a study is told.

    Args:
        over: what is varied, as the study understands it.
        train: files of training records and how many times each is taken; without them nothing is trained.
        records: training records of each run.
        recipe: further options of `r2ag train`.
        seeds: runs of what chance decides (training, shuffling, noise), from `seed` on.
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
        """Where a step's outcome stands, by a name in which anything may be."""
        return self.output / "adapters" / file_name(name)

    def numbers(self) -> list[int]:
        """What is varied, as whole numbers from 1.

        Raises:
            InputError: it is something else.
        """
        for value in self.over:
            if not value.isdecimal() or int(value) < 1:
                raise InputError(f"--over is {value!r} here; give whole numbers from 1, as in 100,200.")
        return [int(value) for value in self.over]


@dataclass(frozen=True)
class Step:
    """One r2ag command that makes `folder`, its --output; `scores` are added to its records first."""

    folder: Path
    command: tuple[str, ...]
    data: tuple[tuple[Path, float], ...]
    scores: tuple[str, ...] = ()

    @property
    def marker(self) -> Path:
        """A file that stands there when the step is done."""
        return self.folder / ("adapter_config.json" if self.command[0] == "train-encoder" else "model.safetensors")

    def line(self, data: Sequence[tuple[Path, float]] = ()) -> list[str]:
        """The whole command; other `data` take the place of its own."""
        files = [str(file) if weight == 1 else f"{file}:{weight:g}" for file, weight in data or self.data]
        return [*self.command, "--data", *files, "--output", str(self.folder)]

    def __str__(self) -> str:
        return shlex.join(["r2ag", *self.line()])


def training(options: Options, name: str, seed: int, *changes: str, **step: Any) -> Step:
    """An `r2ag train` with the recipe; `changes` are options that come behind it, and so go before it."""
    models = [("--llm", options.llm), ("--retriever", options.retriever)]
    named = [part for option, value in models if value and option not in changes for part in (option, value)]
    count = [] if options.records is None or "--limit" in changes else ["--limit", str(options.records)]
    shared = ("--vectors", str(options.output / "vectors"))
    command = ("train", *shlex.split(options.recipe), *named, *count, *shared, "--seed", str(seed), *changes)
    return Step(options.folder(f"{name}-seed{seed}"), command, options.train, **step)


def with_trained(method: str, folders: Mapping[str, str]) -> str:
    """A method that needs weights and was given none answers with those that were trained."""
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
        name: tells its answers from others' where `alters_vectors`; a digest of an answer knows texts alone.
    """

    name: str
    apply: Callable[[Sequence[RankedList], Setting], list[RankedList]]
    alters_vectors: bool = False


UNCHANGED = Preparation("as it is", lambda lists, setting: list(lists))

Row = Callable[[int], dict[str, Any] | None]
"""Measures one list, by its place; None where there is nothing to measure."""


@dataclass(frozen=True)
class Measure:
    """Something measured of each record beside answers.

    Args:
        start: called once with the pipeline, the records and their lists.
        resumes: whether what is measured depends on the record alone, so that it can be kept for a later run.
    """

    name: str
    start: Callable[[Pipeline, Sequence[Record], Sequence[RankedList]], Row]
    resumes: bool = False


@dataclass(frozen=True)
class Condition:
    """Lists, prepared one way, and the methods that answer from them.

    Args:
        row: what results call it; conditions of one row are repetitions with other seeds.
        adapter: the main one, by folder or hub name; empty for the shipped one.
        untuned: the lists are described by the adapter's encoder without its LoRA.
    """

    row: str
    methods: tuple[str, ...] = ()
    adapter: str = ""
    preparation: Preparation = UNCHANGED
    order: Literal["encoder", "shuffled", "given"] = "encoder"
    k: int | None = None
    seed: int = 0
    untuned: bool = False
    measure: Measure | None = None

    @property
    def file(self) -> str:
        """Its part in names of files."""
        return file_name(f"{self.row}-seed{self.seed}")


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


def file_name(text: str) -> str:
    """Letters, digits and a few signs; what had to be replaced leaves a digest, so that no two names become one."""
    plain = re.sub(r"[^\w.+-]+", "-", text)
    return plain if plain == text else f"{plain[:60]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def needs_training(options: Options, study: str) -> None:
    """Raises InputError where no training records are given."""
    if not options.train:
        raise InputError(f"r2ag study {study} trains adapters; name training records with --train FILE,…")
