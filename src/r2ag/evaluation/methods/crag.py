"""`crag`, `crag=CROSS_ENCODER`: corrective RAG (Yan et al., 2024, arXiv 2401.15884).

An evaluator grades each document. If one is surely relevant (Correct), the documents are split into strips of three
sentences, and only the relevant strips are read, at most six. If none is relevant (Incorrect), none is read. In between
(Ambiguous) the documents are read as they are.

This is an approximation in two ways. The published evaluator is a fine-tuned T5; ours is the adapter's relevance head
or a cross-encoder. The published Incorrect and Ambiguous search the web; all methods here have the same documents and
no web, so Incorrect answers without documents.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from r2ag.answering.reader import Reader
from r2ag.encoder.encoder import FeatureEncoder, weights_digest
from r2ag.errors import InputError
from r2ag.evaluation.methods import Spec
from r2ag.evaluation.methods.bench import Bench, adapter_settings
from r2ag.evaluation.methods.refined import Refined, Refinement, everything, joined, parts, refined_rag
from r2ag.retrieval.rerank import load_cross_encoder, relevance_scores
from r2ag.types import Document, RankedList

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

STRIP_SENTENCES = 3
MOST_STRIPS = 6


Grade = Callable[[str, Sequence[Document], np.ndarray | None], Sequence[float]]
"""From a question, documents and, where the list has them, their vectors, to each document's probability."""


def by_head(reader: Reader, encoder: FeatureEncoder) -> Grade:
    """Grades by the adapter's relevance head, as many documents at a time as the adapter takes."""
    most = reader.adapter.config.former.max_documents

    def grade(question: str, documents: Sequence[Document], vectors: np.ndarray | None) -> list[float]:
        probabilities: list[float] = []
        for start in range(0, len(documents), most):
            rows = slice(start, start + most)
            listed = encoder.describe(question, documents[rows], None if vectors is None else vectors[rows])
            probabilities += reader.assess([listed]).probabilities[0]
        return probabilities

    return grade


def by_cross_encoder(model: CrossEncoder) -> Grade:
    """Grades by a cross-encoder's logits as probabilities."""

    def grade(question: str, documents: Sequence[Document], vectors: np.ndarray | None) -> list[float]:
        return [float(score) for score in relevance_scores(model, question, documents, nn.Sigmoid())]

    return grade


@dataclass(frozen=True)
class Corrective:
    """Grades a list, and takes from it what its grade allows.

    The published thresholds are those of PopQA: .59, -.99 and -.5 on the evaluator's scale from -1 to 1.

    Attributes:
        correct: the probability from which a list is Correct.
        incorrect: the one below which it is Incorrect.
        strip: the one from which a strip is read.
    """

    grade: Grade
    correct: float = 0.795
    incorrect: float = 0.005
    strip: float = 0.25

    def __call__(self, ranked: RankedList) -> Refinement:
        """The documents or strips to read."""
        best = max(self.grade(ranked.question, ranked.documents, ranked.document_vectors))
        if best >= self.correct:
            return self._strips(ranked)
        if best >= self.incorrect:
            return everything(ranked)
        return Refinement((), 0)

    def _strips(self, ranked: RankedList) -> Refinement:
        strips = parts(ranked.documents, STRIP_SENTENCES)
        grades = self.grade(ranked.question, [strip.document for strip in strips], None)
        best = sorted(range(len(strips)), key=lambda index: -grades[index])[:MOST_STRIPS]
        passing = [index for index in best if grades[index] >= self.strip] or best[:1]
        return joined(strips[index] for index in sorted(passing))


def create(spec: Spec, bench: Bench) -> Refined:
    """With the main adapter's relevance head and its thresholds, or with a cross-encoder and the published ones.

    Raises:
        InputError: the adapter has no relevance head, or the cross-encoder can't be used.
    """
    spec.refuse_argument()
    if spec.folder:
        model = load_cross_encoder(spec.folder)
        return refined_rag(spec, bench, Corrective(by_cross_encoder(model)), {"evaluator": weights_digest(model)})
    adapter = bench.main.adapter
    if adapter.config.method != "r2ag":
        raise InputError(f"The method {spec} needs an R²AG adapter or, as {spec.base}=MODEL, a cross-encoder.")
    calibration = adapter.config.calibration
    lower = min(calibration.threshold, calibration.prune_threshold)
    encoder = bench.describing_encoder
    settings = {"encoder": encoder.fingerprint, "evaluator": adapter_settings(adapter)["adapter"]}
    corrective = Corrective(by_head(bench.main, encoder), calibration.threshold, lower, lower)
    return refined_rag(spec, bench, corrective, settings)
