"""Plain RAG on what is made of a list's documents: some of them, in another order, or parts of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from r2ag.answering.reader import Reader
from r2ag.evaluation.methods.base import Prediction, Spec, to_prediction
from r2ag.evaluation.methods.bench import Bench
from r2ag.method.prompting import PromptTemplate
from r2ag.method.templates import plain_template
from r2ag.types import Document, RankedList


@dataclass(frozen=True)
class Refinement:
    """What is read in place of a list's documents; `documents_read` of the list's have a part in it."""

    documents: tuple[Document, ...]
    documents_read: int


Refine = Callable[[RankedList], Refinement]


@dataclass(frozen=True)
class Refined:
    """Refines each list, and reads with a prompt that holds no slots. Refining is part of the time."""

    name: str
    reader: Reader
    max_new_tokens: int
    settings: Mapping[str, Any]
    refine: Refine

    def answer(self, lists: Sequence[RankedList]) -> list[Prediction]:
        """A list of which nothing is left is answered without documents."""
        started = time.perf_counter()
        refined = [self.refine(ranked) for ranked in lists]
        rewritten = [_with_documents(ranked, r.documents) for ranked, r in zip(lists, refined, strict=True)]
        readings = self.reader.read(rewritten, None, self.max_new_tokens)
        seconds = (time.perf_counter() - started) / len(lists)
        return [to_prediction(reading, r.documents_read, seconds) for reading, r in zip(readings, refined, strict=True)]


def refined_rag(
    spec: Spec, bench: Bench, refine: Refine, settings: Mapping[str, Any], template: PromptTemplate | None = None
) -> Refined:
    """By the base LLM, with the prompt family that training records chose, or a template made of it.

    Args:
        settings: what refining depends on, beside the specification.
    """
    template = template or chosen_template(bench)
    known = bench.base_settings() | {"method": [spec.base, spec.argument], "template": asdict(template)}
    return Refined(spec.name, bench.plain_reader(template), bench.max_new_tokens, known | dict(settings), refine)


def chosen_template(bench: Bench) -> PromptTemplate:
    """Plain RAG's prompt that training records chose."""
    return plain_template(bench.main.adapter.config.plain_prompt)


def everything(ranked: RankedList) -> Refinement:
    """All documents, as they are."""
    return selected(ranked, range(len(ranked)))


def selected(ranked: RankedList, order: Sequence[int]) -> Refinement:
    """The documents at these places, in this order."""
    return Refinement(tuple(ranked.documents[index] for index in order), len(order))


def _with_documents(ranked: RankedList, documents: Sequence[Document]) -> RankedList:
    """Plain RAG reads no vectors, and rewritten documents have none."""
    return RankedList(ranked.question, tuple(documents), ranked.query_vector, np.zeros((len(documents), 0), np.float32))
