"""What the benchmarks share: options, sample questions, ways that take turns in one run, ratios, and results."""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from r2ag.answering.answers import Retrieved
    from r2ag.pipeline import Pipeline

RESULTS = Path(__file__).parents[1] / "runs" / "bench"
PACKAGES = ("torch", "transformers", "sentence-transformers", "numpy")
Way = Callable[[], object]
Clock = Callable[[], float]
T = TypeVar("T")


def parser(text: str | None, **numbers: int) -> argparse.ArgumentParser:
    """A parser whose help is the module's text, with an option for each number and its default."""
    made = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in numbers.items():
        made.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    return made


def sample_lists(pipeline: Pipeline, k: int) -> list[Retrieved]:
    """What a pipeline finds among the sample documents for each sample question."""
    from r2ag.corpus import read_documents
    from r2ag.samples import documents_folder, questions

    encoder = pipeline.encoder
    pipeline.add(read_documents([documents_folder()], encoder.count_tokens, encoder.passage_tokens))
    return [pipeline.find(sample.question, k=k) for sample in questions()]


def one_thread_clock() -> Clock:
    """Processor time where torch computes with one thread, which other processes hardly change; else the wall's."""
    import torch

    return time.process_time if torch.get_num_threads() == 1 else time.perf_counter


def timed(way: Callable[[], T], clock: Clock = time.process_time) -> tuple[float, T]:
    """Seconds of one call, and what it returns."""
    started = clock()
    result = way()
    return clock() - started, result


def by_turns(
    ways: Mapping[str, Way], runs: int, clock: Clock = time.perf_counter, warm: int = 1
) -> dict[str, list[float]]:
    """Seconds of each call: every round calls all ways, in turning order, so that a busy machine slows them alike."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for run in range(-warm, runs):
        for name in names if run % 2 else names[::-1]:
            taken, _ = timed(ways[name], clock)
            if run >= 0:
                times[name].append(taken)
    return times


def spread(values: Sequence[float], digits: int = 2) -> dict[str, float]:
    """Median and quartiles."""
    low, median, high = np.percentile(values, [25, 50, 75]).round(digits).tolist()
    return {"median": median, "q1": low, "q3": high, "n": len(values)}


def ratio(times: Mapping[str, Sequence[float]], of: str, to: str, digits: int = 3) -> dict[str, float]:
    """Spread of the ratios of calls that stood in the same round."""
    return spread(np.divide(times[of], times[to]).tolist(), digits)


def peak_megabytes() -> float:
    """The most memory that this process has held.

    Where there is /proc it is asked, since getrusage of a new process begins with its parent's peak.
    """
    return process_megabytes("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def process_megabytes(field: str, process: int | str = "self") -> float:
    """Of a process, from /proc (0 where there is none): VmRSS is its memory now, VmHWM the most that it has held."""
    kilobytes = [line.split()[1] for line in _lines(f"/proc/{process}/status") if line.startswith(f"{field}:")]
    return int(kilobytes[0]) * 1024 / 1e6 if kilobytes else 0.0


def machine() -> dict[str, object]:
    """Where, and with what, a figure was taken."""
    names = [line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def finish(name: str, result: Mapping[str, object], options: argparse.Namespace) -> None:
    """Prints a benchmark's result as JSON, and keeps it for the table in docs/performance.md."""
    given = {key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items()}
    text = json.dumps({name: result, "options": given, "machine": machine()}, indent=2, default=str)
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    print(text)


def _lines(file: str) -> list[str]:
    path = Path(file)
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
