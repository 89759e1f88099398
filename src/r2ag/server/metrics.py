"""Metrics for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """One server's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "r2ag_requests", "Requests by address and status.", ["path", "status"], registry=self._registry
        )
        self.seconds = Histogram(
            "r2ag_request_seconds",
            "From a request's arrival to the end of its response.",
            ["path"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.first_token_seconds = Histogram(
            "r2ag_first_token_seconds",
            "From a request's arrival to the first piece of its answer.",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.tokens = Counter("r2ag_tokens", "Tokens read and written.", ["kind"], registry=self._registry)
        self.answers = Counter("r2ag_answers", "Answers by outcome.", ["outcome"], registry=self._registry)

    def watch(self, name: str, description: str, value: Callable[[], float]) -> None:
        """Adds a gauge whose value is computed when it is read."""
        Gauge(name, description, registry=self._registry).set_function(value)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)
