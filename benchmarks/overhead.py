"""What a command costs before it does anything: the start-up of `import r2ag` and of `r2ag --help`.

    python benchmarks/overhead.py [--runs 10]

Prints one JSON object, in seconds: median and range of each, with a bare interpreter for comparison. The commands take
turns, each in a process of its own; both goals are half a second.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python": ["-c", "pass"],
    "import r2ag": ["-c", "import r2ag"],
    "r2ag --help": ["-m", "r2ag.cli", "--help"],
}


def seconds(arguments: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    runs = parser.parse_args().runs
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for run in range(runs + 1):
        for name, arguments in COMMANDS.items():
            taken = seconds(arguments)
            if run > 0:  # the first round fills the file cache
                times[name].append(taken)
    summary = {
        name: {"median": round(statistics.median(values), 3), "range": [round(min(values), 3), round(max(values), 3)]}
        for name, values in times.items()
    }
    print(json.dumps({"runs": runs, "seconds": summary}, indent=2))


if __name__ == "__main__":
    main()
