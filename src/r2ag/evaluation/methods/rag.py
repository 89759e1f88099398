"""Plain RAG on all documents, with a prompt that holds no slots: `rag`, `rag:FAMILY`, by a server's `rag=MODEL@URL`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from r2ag.answering.reader import Reader
from r2ag.evaluation.methods.base import Method, Prediction, Spec, to_prediction
from r2ag.evaluation.methods.bench import Bench
from r2ag.evaluation.methods.refined import everything
from r2ag.evaluation.methods.remote import remote
from r2ag.method.templates import plain_template
from r2ag.types import RankedList


@dataclass(frozen=True)
class Rag:
    """Plain RAG.

    `reader` holds the prompt. With `top_n` only the documents that the encoder finds nearest to the question are
    read, in the list's order, so that a shuffled list loses the same ones as a ranked list.
    """

    name: str
    reader: Reader
    max_new_tokens: int
    settings: Mapping[str, Any]
    top_n: int | None = None

    def answer(self, lists: Sequence[RankedList]) -> list[Prediction]:
        """Reads without assessing."""
        started = time.perf_counter()
        keep = [nearest(ranked, self.top_n or len(ranked)) for ranked in lists]
        readings = self.reader.read(lists, None, self.max_new_tokens, keep=keep)
        seconds = (time.perf_counter() - started) / len(lists)
        return [to_prediction(reading, len(indices), seconds) for reading, indices in zip(readings, keep, strict=True)]


def nearest(ranked: RankedList, count: int) -> list[int]:
    """Indices of the `count` documents most similar to the question, in list order."""
    scores = ranked.document_vectors @ ranked.query_vector
    return sorted(np.argsort(-scores, kind="stable")[:count].tolist())


def top_n_settings(bench: Bench, top_n: int | None) -> dict[str, Any]:
    """What the choice of the nearest depends on: their number and, where there is one, whose vectors tell."""
    return {"top_n": top_n} | ({} if top_n is None else bench.encoder_settings())


def plain_rag(spec: Spec, family: str, bench: Bench, top_n: int | None = None) -> Rag:
    """Plain RAG by the base LLM with a family's prompt."""
    template = plain_template(family)
    settings = bench.base_settings() | {"template": asdict(template)} | top_n_settings(bench, top_n)
    return Rag(spec.name, bench.plain_reader(template), bench.max_new_tokens, settings, top_n)


def create(spec: Spec, bench: Bench) -> Method:
    """The family named, or the one that training records chose."""
    if server := spec.server():
        family = spec.argument or bench.main.adapter.config.plain_prompt
        return remote(spec, bench, everything, {}, plain_template(family), *server)
    return plain_rag(spec, spec.argument or bench.reader(spec.folder).adapter.config.plain_prompt, bench)
