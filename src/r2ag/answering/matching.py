"""Whether the words of an answer stand in a text: for citations, for distractors, and for written questions."""

from __future__ import annotations

import re
from collections.abc import Sequence


def words(text: str) -> list[str]:
    """Lower-case words without punctuation. One CJK character is one word: such texts have no spaces between words."""
    return re.findall(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_]+", text.lower())


def holds(said: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether the words `wanted` stand in `said`, one after another; no words stand nowhere."""
    return bool(wanted) and f" {' '.join(wanted)} " in f" {' '.join(said)} "


def stands_in(answer: str, text: str) -> bool:
    """Whether all words of an answer stand in a text, one after another; an answer without words stands nowhere."""
    return holds(words(text), words(answer))
