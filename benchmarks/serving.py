"""The server under load: throughput and waiting times with 1, 4 and 16 clients, and its memory over many requests.

    r2ag serve --docs src/r2ag/samples/documents --port 8000 &
    python benchmarks/serving.py --url http://127.0.0.1:8000 --pid $! --requests 48 --memory-requests 1000

Each client asks one question after the other and streams its answer. Prints one JSON object: requests a second, and the
median and 95th percentile of the seconds to the first piece of text and to the end; `batched_over_alone` is 8 clients'
throughput over one's (goal: 2). With --pid, the server's resident memory after the first requests and after the last.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import httpx

from r2ag.samples import questions

CLIENTS = (1, 4, 8, 16)


@dataclass(frozen=True)
class Timing:
    """Seconds from a request to the first piece of its answer, and to its end."""

    first: float
    whole: float


def ask(client: httpx.Client, question: str, tokens: int) -> Timing:
    """Streams one answer."""
    body = {"model": "r2ag", "prompt": question, "max_tokens": tokens, "stream": True, "abstain": False}
    started, first = time.perf_counter(), 0.0
    with client.stream("POST", "/v1/completions", json=body) as response:
        response.raise_for_status()
        for line in response.iter_lines():
            first = first or (time.perf_counter() - started if line else 0.0)
    return Timing(first, time.perf_counter() - started)


def load(url: str, clients: int, asked: list[str], tokens: int) -> dict[str, float]:
    """What so many clients see, who share the questions."""
    with httpx.Client(base_url=url, timeout=600) as client, ThreadPoolExecutor(clients) as threads:
        started = time.perf_counter()
        timings = list(threads.map(lambda question: ask(client, question, tokens), asked))
        seconds = time.perf_counter() - started
    firsts, wholes = [timing.first for timing in timings], [timing.whole for timing in timings]
    return {
        "requests_per_second": round(len(asked) / seconds, 3),
        "first_p50_s": round(statistics.median(firsts), 3),
        "first_p95_s": round(percentile_95(firsts), 3),
        "whole_p50_s": round(statistics.median(wholes), 3),
        "whole_p95_s": round(percentile_95(wholes), 3),
    }


def percentile_95(values: list[float]) -> float:
    """The value that 95 % are not above."""
    return sorted(values)[min(len(values) - 1, int(0.95 * len(values)))]


def resident_mb(pid: int) -> float:
    """A process's memory, on Linux."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return round(int(line.split()[1]) / 1000, 1)


def memory(url: str, pid: int, asked: list[str], tokens: int) -> dict[str, float]:
    """The server's memory after a tenth of the requests, when all is warm, and after all of them."""
    warm = max(1, len(asked) // 10)
    load(url, 4, asked[:warm], tokens)
    before = resident_mb(pid)
    load(url, 4, asked[warm:], tokens)
    return {"requests": len(asked), "after_a_tenth_mb": before, "after_all_mb": resident_mb(pid)}


def main() -> None:
    """Asks, and prints what it measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--requests", type=int, default=48, help="for each number of clients")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--pid", type=int)
    parser.add_argument("--memory-requests", type=int, default=1000)
    options = parser.parse_args()
    endless = cycle([sample.question for sample in questions()])
    load(options.url, 1, list(islice(endless, 2)), options.tokens)
    found = {
        clients: load(options.url, clients, list(islice(endless, options.requests)), options.tokens)
        for clients in CLIENTS
    }
    result: dict[str, object] = {"tokens": options.tokens, "clients": found}
    result["batched_over_alone"] = round(found[8]["requests_per_second"] / found[1]["requests_per_second"], 2)
    if options.pid is not None:
        asked = list(islice(endless, options.memory_requests))
        result["memory"] = memory(options.url, options.pid, asked, options.tokens)
    print(json.dumps({"serving": result}, indent=2))


if __name__ == "__main__":
    main()
