"""How many requests may be at work or wait at once; for one event loop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from r2ag.server.errors import ApiError


class Places:
    """A fixed number of places.

    Args:
        retry_after_s: what a client is told to wait when there is none left.
    """

    def __init__(self, count: int, retry_after_s: int) -> None:
        self.count = count
        self.taken = 0
        self._retry_after_s = retry_after_s

    @contextmanager
    def one(self) -> Iterator[None]:
        """A place for as long as the block lasts.

        Raises:
            ApiError: all are taken (429, with Retry-After).
        """
        if self.taken >= self.count:
            raise ApiError(
                429,
                f"The server is busy: {self.taken} requests are at work or waiting. Try again in a moment.",
                code="queue_full",
                headers={"Retry-After": str(self._retry_after_s)},
            )
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1
