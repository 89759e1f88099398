"""Logs of requests and errors, as JSON lines on stderr without the text of questions or documents; and metrics."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_fields: ContextVar[dict[str, Any]] = ContextVar("fields")


def log_with_request(**fields: Any) -> None:
    """Adds fields to the log line of the current request."""
    _fields.get().update(fields)


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON; `extra={"fields": {…}}` adds fields."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Formatter."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def log_as_json() -> None:
    """Makes this package and uvicorn log JSON lines on stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    for name in ("r2ag.server", "uvicorn"):
        log = logging.getLogger(name)
        log.handlers, log.propagate = [handler], False
        log.setLevel(logging.INFO)


class Metrics:
    """One server's metrics for Prometheus, in a registry of their own."""

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


@dataclass(frozen=True)
class RequestLog:
    """The outermost middleware: counts, times and logs every request, and gives it an id."""

    app: ASGIApp
    metrics: Metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        id_, fields = uuid4().hex[:16], dict[str, Any]()
        _fields.set(fields)
        started = time.perf_counter()
        status = 499  # the client left before there was one

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = id_
            await send(message)

        try:
            await self.app(scope, receive, send_noting)
        except Exception:
            status = 500
            raise
        finally:
            self._note(scope, id_, status, time.perf_counter() - started, fields)

    def _note(self, scope: Scope, id_: str, status: int, seconds: float, further: dict[str, Any]) -> None:
        path = getattr(scope.get("route"), "path", "other")  # /v1/documents/{id}: as many as there are routes
        self.metrics.requests.labels(path, str(status)).inc()
        self.metrics.seconds.labels(path).observe(seconds)
        fields = {"request": id_, "method": scope["method"], "path": path, "status": status}
        fields |= {"ms": round(seconds * 1000, 1)} | further
        logger.log(logging.ERROR if status >= 500 else logging.INFO, "request", extra={"fields": fields})
