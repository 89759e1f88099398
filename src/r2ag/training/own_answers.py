"""Targets in the LLM's own words: its answers to prompts with the relevant documents alone.

Gold answers of three words teach the LLM to be short, whatever E^R says. With its own answers its style stays, and it
learns which documents to follow.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from r2ag.answering.reader import Reader
from r2ag.evaluation.metrics import acc_word
from r2ag.io.atomic import write_whole
from r2ag.method.templates import plain_template
from r2ag.training.lists import DescribedRecord
from r2ag.types import RankedList


@dataclass(frozen=True)
class OwnAnswers:
    """The frozen LLM's answers from relevant documents alone, each kept in `file` at once.

    A stopped run continues there, and a second run on the same records asks nothing.
    """

    reader: Reader
    file: Path
    max_new_tokens: int = 48
    batch_size: int = 8

    def to(self, records: Sequence[DescribedRecord], correct_only: bool) -> list[DescribedRecord]:
        """The records whose answer the LLM ends, with that answer in place of the gold ones.

        Args:
            correct_only: leave out answers that hold no gold answer as whole words ("no" in "known" is none).
        """
        answers = self._stored()
        missing = {self._key(one): self._relevant(one) for one in records if self._key(one) not in answers}
        with self.file.open("a", encoding="utf-8") as lines:
            for key, answer in self._ask({key: ranked for key, ranked in missing.items() if len(ranked)}):
                answers[key] = answer
                lines.write(json.dumps([key, answer]) + "\n")
                lines.flush()
        return [
            replace(one, record=replace(one.record, answers=(text,)))
            for one in records
            if (text := answers.get(self._key(one))) and (not correct_only or acc_word(text, one.record.answers))
        ]

    def _ask(self, lists: dict[str, RankedList]) -> Iterator[tuple[str, str]]:
        """Answers as they come, by length so that a batch pads little; empty where one did not end."""
        template = plain_template(self.reader.adapter.config.plain_prompt)
        order = sorted(lists, key=lambda key: sum(len(document.text) for document in lists[key].documents))
        for start in range(0, len(order), self.batch_size):
            keys = order[start : start + self.batch_size]
            readings = self.reader.read([lists[key] for key in keys], None, self.max_new_tokens, template=template)
            for key, reading in zip(keys, readings, strict=True):
                ended = reading.generation.completion_tokens < self.max_new_tokens
                yield key, reading.generation.text if ended else ""

    def _stored(self) -> dict[str, str]:
        if not self.file.is_file():
            return {}
        text = self.file.read_text(encoding="utf-8", errors="replace")
        whole = text[: text.rfind("\n") + 1]
        if whole != text:  # a kill cut the last line off; the next one must not stand behind its half
            write_whole(self.file, whole)
        return dict(json.loads(line) for line in whole.splitlines())

    @staticmethod
    def _key(described: DescribedRecord) -> str:
        return f"{described.record.id}\t{described.record.question}"

    @staticmethod
    def _relevant(described: DescribedRecord) -> RankedList:
        return described.ranked.reordered([i for i, d in enumerate(described.ranked.documents) if d.relevant])
