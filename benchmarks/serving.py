"""Servers under load: throughput and waiting times with 1, 4, 8 and 16 clients, and memory over many requests.

    r2ag serve --docs src/r2ag/samples/documents --port 8000 & pid=$!
    python benchmarks/serving.py --servers here=http://127.0.0.1:8000 --pid $pid --requests 48 --memory-requests 1000

The same through vLLM, beside vLLM asked without us (its cache of prompts off, for the questions are few):

    vllm serve DIR --enable-prompt-embeds --no-enable-prefix-caching --host 127.0.0.1 --port 8001 &
    r2ag serve --docs src/r2ag/samples/documents --port 8002 --engine vllm --engine-url http://127.0.0.1:8001/v1 &
    python benchmarks/serving.py --servers here=http://127.0.0.1:8000 vllm=http://127.0.0.1:8002 \\
        --bare http://127.0.0.1:8001/v1

Each client asks one question after the other and streams its answer; the servers take turns, round after round. Prints
one JSON object: requests a second, the median and 95th percentile of the seconds to the first piece of text and to the
end, and the median to the end without finding and assessing documents (`own_p50_s`). `bare` is vLLM with the token ids
of the same prompts, for answers of the same length; `own_over_bare` compares its median with each server's own (goal
for the one through vLLM: 1.05).
`batched_over_alone` is the first server's throughput with 8 clients over that with one (goal: 2). With --pid, its
resident memory after a tenth of the requests and after all.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import httpx
import numpy as np
from turns import finish, parser, process_megabytes, sample_lists

from r2ag.samples import questions

CLIENTS = (1, 4, 8, 16)
DOCUMENTS = 5  # that a server finds for a question


@dataclass(frozen=True)
class Target:
    """A server, and requests that it is sent in turn; `url` ends where "/completions" follows."""

    url: str
    requests: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Timing:
    """Seconds from a request to the first piece of its answer, to its end, and of these for documents."""

    first: float
    whole: float
    documents: float


def ask(client: httpx.Client, url: str, request: dict[str, Any]) -> Timing:
    """Streams one answer."""
    started, first, documents = time.perf_counter(), 0.0, 0.0
    with client.stream("POST", f"{url}/completions", json=request | {"stream": True}) as response:
        response.raise_for_status()
        for event in events(response):
            if any(choice["text"] for choice in event["choices"]):
                first = first or time.perf_counter() - started
            if facts := event.get("r2ag"):
                documents = sum(facts["timings_ms"][part] for part in ("retrieve", "features", "former")) / 1000
    whole = time.perf_counter() - started
    return Timing(first or whole, whole, documents)


def events(response: httpx.Response) -> Iterator[dict[str, Any]]:
    """What a stream holds.

    Raises:
        RuntimeError: it holds an error.
    """
    for line in response.iter_lines():
        if line.startswith("data: {"):
            event = json.loads(line[len("data: ") :])
            if "error" in event:
                raise RuntimeError(event["error"])
            yield event


def load(target: Target, clients: int, count: int) -> tuple[list[Timing], float]:
    """What so many clients see, who share the requests, and the seconds that it took."""
    asked = list(islice(cycle(target.requests), count))
    with httpx.Client(timeout=600) as client, ThreadPoolExecutor(clients) as threads:
        started = time.perf_counter()
        timings = list(threads.map(lambda request: ask(client, target.url, request), asked))
        return timings, time.perf_counter() - started


def compare(targets: dict[str, Target], clients: int, count: int, rounds: int) -> dict[str, dict[str, float]]:
    """What each server's clients see; the servers take turns."""
    timings: dict[str, list[Timing]] = {name: [] for name in targets}
    seconds = dict.fromkeys(targets, 0.0)
    for _ in range(rounds):
        for name, target in targets.items():
            seen, took = load(target, clients, max(clients, count // rounds))
            timings[name] += seen
            seconds[name] += took
    found = {name: summary(timings[name], seconds[name]) for name in targets}
    if "bare" in found:
        for figures in found.values():
            figures["own_over_bare"] = round(figures["own_p50_s"] / found["bare"]["own_p50_s"], 3)
    return found


def summary(timings: list[Timing], seconds: float) -> dict[str, float]:
    """Figures of one server."""
    figures = {"requests_per_second": len(timings) / seconds}
    for part in ("first", "whole"):
        values = [getattr(timing, part) for timing in timings]
        figures[f"{part}_p50_s"], figures[f"{part}_p95_s"] = np.percentile(values, [50, 95]).tolist()
    figures["own_p50_s"] = float(np.median([timing.whole - timing.documents for timing in timings]))
    return {name: round(value, 3) for name, value in figures.items()}


def memory(target: Target, pid: int, count: int) -> dict[str, float]:
    """The server's memory after a tenth of the requests, when all is warm, and after all of them."""
    warm = max(1, count // 10)
    load(target, 4, warm)
    before = process_megabytes("VmRSS", pid)
    load(target, 4, count - warm)
    after = process_megabytes("VmRSS", pid)
    return {"requests": count, "after_a_tenth_mb": round(before, 1), "after_all_mb": round(after, 1)}


def bare(url: str, tokens: int) -> Target:
    """vLLM with the token ids of the prompts that our server makes of the samples, and answers as long as its."""
    from r2ag.pipeline import Pipeline

    pipeline = Pipeline.from_pretrained(engine_url=url)
    requests = []
    for found in sample_lists(pipeline, DOCUMENTS):
        assessed = pipeline.assess(found, abstain=False)
        documents = [found.ranked.documents[index] for index in assessed.keep]
        written = pipeline.answer(found, max_new_tokens=tokens, abstain=False).usage["completion_tokens"]
        prompt = pipeline.reader.prompt(found.ranked.question, documents, tokens).ids
        requests.append({"prompt": prompt, "max_tokens": written, "ignore_eos": True, "temperature": 0})
    return Target(url, tuple(requests))


def ours(url: str, tokens: int) -> Target:
    """One of our servers, which shall answer every question."""
    fixed = {"model": "r2ag", "max_tokens": tokens, "abstain": False}
    return Target(f"{url}/v1", tuple(fixed | {"prompt": sample.question} for sample in questions()))


def main() -> None:
    """Asks, and prints what it measured."""
    arguments = parser(__doc__, requests=48, rounds=2, tokens=64, memory_requests=1000)
    arguments.add_argument("--servers", nargs="+", metavar="NAME=URL", default=["here=http://127.0.0.1:8000"])
    arguments.add_argument("--bare", metavar="URL", help="a vLLM, as in http://127.0.0.1:8001/v1")
    arguments.add_argument("--clients", type=int, nargs="+", default=CLIENTS)
    arguments.add_argument("--pid", type=int, help="the first server's")
    options = arguments.parse_args()
    named = dict(server.split("=", 1) for server in options.servers)
    targets = {name: ours(url, options.tokens) for name, url in named.items()}
    if options.bare:
        targets["bare"] = bare(options.bare, options.tokens)
    for target in targets.values():
        load(target, 1, 2)
    found = {clients: compare(targets, clients, options.requests, options.rounds) for clients in options.clients}
    result: dict[str, object] = {"clients": found}
    first = next(iter(named))
    if 1 in found and 8 in found:
        alone, batched = (found[clients][first]["requests_per_second"] for clients in (1, 8))
        result["batched_over_alone"] = round(batched / alone, 2)
    if options.pid is not None:
        result["memory"] = memory(targets[first], options.pid, options.memory_requests)
    finish("serving", result, options)


if __name__ == "__main__":
    main()
