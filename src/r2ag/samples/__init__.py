"""Forty short passages on bees, volcanoes, printing, coffee and bridges, and questions about them, to try things on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class SampleQuestion:
    """A question about the sample documents; `answers` is empty when they don't answer it.

    Each answer stands literally in exactly one document, and others on its topic are near misses.
    """

    question: str
    answers: tuple[str, ...]


def documents_folder() -> Path:
    """The folder with the sample documents: Markdown files, one passage each, its title as the heading."""
    return _HERE / "documents"


def questions() -> list[SampleQuestion]:
    """The sample questions."""
    entries = json.loads((_HERE / "questions.json").read_text(encoding="utf-8"))
    return [SampleQuestion(entry["question"], tuple(entry["answers"])) for entry in entries]
