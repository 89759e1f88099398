"""What the benchmarks share: ways that take turns in one run, the spread of their ratios, and where results go."""

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

import numpy as np

RESULTS = Path(__file__).parents[1] / "runs" / "bench"
PACKAGES = ("torch", "transformers", "sentence-transformers", "numpy")
Way = Callable[[], object]
Clock = Callable[[], float]


def one_thread_clock() -> Clock:
    """Processor time where torch computes with one thread, which other processes hardly change; else the wall's."""
    import torch

    return time.process_time if torch.get_num_threads() == 1 else time.perf_counter


def seconds(way: Way, clock: Clock = time.perf_counter) -> float:
    """Of one call."""
    started = clock()
    way()
    return clock() - started


def by_turns(
    ways: Mapping[str, Way], runs: int, clock: Clock = time.perf_counter, warm: int = 1
) -> dict[str, list[float]]:
    """Seconds of each call: every round calls all ways, in turning order, so that a busy machine slows them alike."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for run in range(-warm, runs):
        for name in names if run % 2 else names[::-1]:
            taken = seconds(ways[name], clock)
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
    for line in _lines("/proc/self/status"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


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
