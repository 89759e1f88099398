"""What a request may cost."""

from __future__ import annotations

from dataclasses import dataclass


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

    @property
    def places(self) -> int:
        """Requests at work and waiting."""
        return self.batch + self.queue
