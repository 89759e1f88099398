"""What a command costs before it does anything: `import r2ag`, `r2ag --help`, and `r2ag ask` from a store.

    python benchmarks/overhead.py [--runs 10]

Prints one JSON object, in seconds: median and quartiles of each, with a bare interpreter for comparison. The commands
take turns, each in a process of its own; the goal of the first two is .4 s. Of `ask`, which answers from a store of the
sample documents, the time to its first word is told as well.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time

from turns import finish, parser, spread

from r2ag.samples import documents_folder

QUESTION = "Who invented the paper coffee filter?"


def commands(store: str) -> dict[str, list[str]]:
    return {
        "python": ["-c", "pass"],
        "import r2ag": ["-c", "import r2ag"],
        "r2ag --help": ["-m", "r2ag.cli", "--help"],
        "r2ag ask": ["-m", "r2ag.cli", "ask", QUESTION, "--store", store],
    }


def seconds(arguments: list[str]) -> tuple[float, float]:
    """To the first byte on stdout (or the end, where there is none), and to the end."""
    start = time.perf_counter()
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        first = time.perf_counter() - start
        process.stdout.read()
    assert process.returncode == 0, arguments
    return first, time.perf_counter() - start


def main() -> None:
    options = parser(__doc__, runs=10).parse_args()
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        store = f"{folder}/store"
        index = ["-m", "r2ag.cli", "index", str(documents_folder()), "--store", store]
        subprocess.run([sys.executable, *index], check=True, capture_output=True)
        for run in range(options.runs + 1):
            for name, arguments in commands(store).items():
                first, whole = seconds(arguments)
                if run > 0:  # the first round fills the file cache
                    times.setdefault(name, []).append(whole)
                    if name == "r2ag ask":
                        times.setdefault(f"{name}, first word", []).append(first)
    finish("overhead", {"seconds": {name: spread(values, 3) for name, values in times.items()}}, options)


if __name__ == "__main__":
    main()
