"""Targets in the LLM's own words: its correct answers to prompts that hold the relevant documents only.

Targets of three words teach every answer to be short, whatever E^R says. With these the LLM's style stays, and what is
learned is which documents to follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from r2ag.evaluation.metrics import acc
from r2ag.reader import Reader
from r2ag.templates import plain_template
from r2ag.training.lists import DescribedRecord


def with_own_answers(
    records: Sequence[DescribedRecord], reader: Reader, max_new_tokens: int = 64
) -> list[DescribedRecord]:
    """The records that the frozen LLM answers correctly from their relevant documents alone, with those answers."""
    template = plain_template(reader.adapter.config.plain_prompt)
    kept = []
    for described in records:
        relevant = [i for i, document in enumerate(described.ranked.documents) if document.relevant]
        if not relevant:
            continue
        reading = reader.read([described.ranked.reordered(relevant)], None, max_new_tokens, template=template)[0]
        text = reading.generation.text
        if reading.generation.completion_tokens < max_new_tokens and acc(text, described.record.answers):
            kept.append(replace(described, record=replace(described.record, answers=(text,))))
    return kept
