"""`crag`, `crag=CROSS_ENCODER`: corrective RAG (Yan et al., 2024, arXiv 2401.15884).

An evaluator grades each document. If one is surely relevant (Correct), the documents are split into strips of three
sentences, and only the relevant strips are read, at most six. If none is relevant (Incorrect), none is read. In between
(Ambiguous) the documents are read as they are.

This is an approximation in two ways. The published evaluator is a fine-tuned T5; ours is the adapter's relevance head
or a cross-encoder. The published Incorrect and Ambiguous search the web; all methods here have the same documents and
no web, so Incorrect answers without documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from torch import nn

from r2ag.answering.reader import Reader
from r2ag.encoder.encoder import FeatureEncoder, weights_digest
from r2ag.errors import InputError
from r2ag.evaluation.methods.base import Spec
from r2ag.evaluation.methods.bench import Bench, adapter_settings
from r2ag.evaluation.methods.refined import Refined, Refinement, everything, refined_rag
from r2ag.evaluation.methods.sentences import joined, parts
from r2ag.retrieval.rerank import load_cross_encoder, relevance_scores
from r2ag.types import Document, RankedList

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

STRIP_SENTENCES = 3
MOST_STRIPS = 6


class Grade(Protocol):
    """Says how probably documents are relevant."""

    def __call__(
        self, question: str, documents: Sequence[Document], vectors: np.ndarray | None = None
    ) -> Sequence[float]:
        """One probability a document; `vectors` are those that the list has of them."""


def by_head(reader: Reader, encoder: FeatureEncoder) -> Grade:
    """Grades by the adapter's relevance head, as many documents at a time as the adapter takes."""
    most = reader.adapter.config.former.max_documents

    def grade(question: str, documents: Sequence[Document], vectors: np.ndarray | None = None) -> list[float]:
        probabilities: list[float] = []
        for start in range(0, len(documents), most):
            rows = slice(start, start + most)
            listed = encoder.describe(question, documents[rows], None if vectors is None else vectors[rows])
            probabilities += reader.assess([listed]).probabilities[0]
        return probabilities

    return grade


def by_cross_encoder(model: CrossEncoder) -> Grade:
    """Grades by a cross-encoder's logits as probabilities."""

    def grade(question: str, documents: Sequence[Document], vectors: np.ndarray | None = None) -> list[float]:
        return [float(score) for score in relevance_scores(model, question, documents, nn.Sigmoid())]

    return grade


@dataclass(frozen=True)
class Thresholds:
    """Probabilities from which a list is Correct, from which it is no more Incorrect, and from which a strip counts."""

    correct: float
    incorrect: float
    strip: float


PUBLISHED = Thresholds(correct=0.795, incorrect=0.005, strip=0.25)
"""Of PopQA: .59, -.99 and -.5 on the published evaluator's scale from -1 to 1."""


@dataclass(frozen=True)
class Corrective:
    """Grades a list, and takes from it what its grade allows."""

    grade: Grade
    thresholds: Thresholds

    def __call__(self, ranked: RankedList) -> Refinement:
        """The documents or strips to read."""
        best = max(self.grade(ranked.question, ranked.documents, ranked.document_vectors))
        if best >= self.thresholds.correct:
            return self._strips(ranked)
        if best >= self.thresholds.incorrect:
            return everything(ranked)
        return Refinement((), 0)

    def _strips(self, ranked: RankedList) -> Refinement:
        strips = parts(ranked.documents, STRIP_SENTENCES)
        grades = self.grade(ranked.question, [strip.document for strip in strips])
        best = sorted(range(len(strips)), key=lambda index: -grades[index])[:MOST_STRIPS]
        passing = [index for index in best if grades[index] >= self.thresholds.strip] or best[:1]
        return joined(strips[index] for index in sorted(passing))


def create(spec: Spec, bench: Bench) -> Refined:
    """With the main adapter's relevance head and its thresholds, or with a cross-encoder and the published ones.

    Raises:
        InputError: the adapter has no relevance head, or the cross-encoder can't be used.
    """
    spec.refuse_argument()
    if spec.folder:
        model = load_cross_encoder(spec.folder)
        return refined_rag(
            spec, bench, Corrective(by_cross_encoder(model), PUBLISHED), {"evaluator": weights_digest(model)}
        )
    adapter = bench.main.adapter
    if adapter.config.method != "r2ag":
        raise InputError(f"The method {spec} needs an R²AG adapter or, as {spec.base}=MODEL, a cross-encoder.")
    calibration = adapter.config.calibration
    lower = min(calibration.threshold, calibration.prune_threshold)
    thresholds = Thresholds(calibration.threshold, lower, lower)
    encoder = bench.describing_encoder
    settings = {"encoder": encoder.fingerprint, "evaluator": adapter_settings(adapter)["adapter"]}
    return refined_rag(spec, bench, Corrective(by_head(bench.main, encoder), thresholds), settings)
