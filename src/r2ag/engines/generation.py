"""What an engine gives back."""

from __future__ import annotations

from dataclasses import dataclass

from r2ag.types import FinishReason


@dataclass(frozen=True)
class Generation:
    """One answer: its text, how many tokens, and how long reading the prompt and writing took (milliseconds)."""

    text: str
    completion_tokens: int
    prefill_ms: float
    decode_ms: float
    finish_reason: FinishReason = "stop"
