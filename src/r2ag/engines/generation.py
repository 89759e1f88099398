"""What an engine gives back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Generation:
    """One answer: its text, how many tokens, and how long reading the prompt and writing took (milliseconds).

    `is_whole` is False where the limit of new tokens cut it off.
    """

    text: str
    completion_tokens: int
    prefill_ms: float
    decode_ms: float
    is_whole: bool = True
