"""Limits of a request, and of how many are at work or wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from r2ag.server.errors import ApiError


@dataclass(frozen=True)
class Limits:
    """Bounds of the server; sizes in bytes, times in seconds."""

    batch: int = 8  # answers that are written side by side
    queue: int = 32  # requests that may wait besides; the next one gets 429
    deadline_s: float = 120.0  # from a request's arrival to the end of its answer
    retry_after_s: int = 2
    body_bytes: int = 4_000_000
    body_s: float = 30.0  # for a client to send its body
    upload_bytes: int = 20_000_000
    document_characters: int = 50_000  # of each document or text in a request
    texts: int = 256  # in a request for embeddings
    new_tokens: int = 1024


class Slots:
    """Counts requests that are at work or wait, up to the limit; for one event loop."""

    def __init__(self, limits: Limits) -> None:
        self.taken = 0
        self._limits = limits

    @property
    def are_free(self) -> bool:
        """Whether one more request is accepted."""
        return self.taken < self._limits.batch + self._limits.queue

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Holds a slot while the block runs.

        Raises:
            ApiError: all are taken (429, with Retry-After).
            TimeoutError: the block takes longer than the deadline.
        """
        if not self.are_free:
            raise ApiError(
                429,
                f"The server is busy: {self.taken} requests are at work or waiting. Try again in a moment.",
                code="queue_full",
                headers={"Retry-After": str(self._limits.retry_after_s)},
            )
        self.taken += 1
        try:
            async with asyncio.timeout(self._limits.deadline_s):
                yield
        finally:
            self.taken -= 1
