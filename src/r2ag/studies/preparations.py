"""What studies do to lists before they are read: other orders, gold documents moved or gone, distractors, noise.

Every one is decided by a seed and the question, so that a record meets the same list in every run and every method.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from r2ag.encoder.encoder import FeatureEncoder, rank_by_similarity
from r2ag.retrieval.bm25 import bm25_scores
from r2ag.studies.base import Preparation, Setting
from r2ag.types import Document, RankedList, Record

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

MOST_DOCUMENTS = 32
POOL = 5000  # passages of other records that distractors are chosen from

Listed = tuple[str, Sequence[Document]]


def gold_at(place: int) -> Preparation:
    """The relevant documents together, the first of them at this place (from 1); the others by similarity."""

    def move(ranked: RankedList) -> RankedList:
        ordered = rank_by_similarity(ranked)
        relevant = [i for i, document in enumerate(ordered.documents) if document.relevant]
        others = [i for i, document in enumerate(ordered.documents) if not document.relevant]
        return ordered.reordered([*others[: place - 1], *relevant, *others[place - 1 :]])

    return Preparation(f"gold at {place}", lambda lists, setting: [move(ranked) for ranked in lists])


def _without_gold(lists: Sequence[RankedList], setting: Setting) -> list[RankedList]:
    # A list of relevant documents alone stays: no method can read nothing.
    return [rank_by_similarity(ranked.without_relevant() or ranked) for ranked in lists]


NO_GOLD = Preparation("gold taken out", _without_gold)


def distractors(count: int) -> Preparation:
    """Up to `count` passages of other questions' records more, the nearest to the question; then by similarity."""

    def add(lists: Sequence[RankedList], setting: Setting) -> list[RankedList]:
        pool, vectors, questions = _pool(lists, setting.seed)
        return [rank_by_similarity(_with_nearest(ranked, count, pool, vectors, questions)) for ranked in lists]

    return Preparation(f"{count} distractors more", add)


def _pool(lists: Sequence[RankedList], seed: int) -> tuple[list[Document], np.ndarray, list[str]]:
    places = [(i, j) for i, ranked in enumerate(lists) for j in range(len(ranked))]
    random.Random(seed).shuffle(places)
    places = places[:POOL]
    documents = [replace(lists[i].documents[j], relevant=False) for i, j in places]
    vectors = np.stack([lists[i].document_vectors[j] for i, j in places])
    return documents, vectors, [lists[i].question for i, _ in places]


def _with_nearest(
    ranked: RankedList, count: int, pool: Sequence[Document], vectors: np.ndarray, questions: Sequence[str]
) -> RankedList:
    seen = {document.passage for document in ranked.documents}
    chosen: list[int] = []
    for index in np.argsort(-(vectors @ ranked.query_vector), kind="stable").tolist():
        if len(chosen) == min(count, MOST_DOCUMENTS - len(ranked)):
            break
        if questions[index] != ranked.question and pool[index].passage not in seen:
            seen.add(pool[index].passage)
            chosen.append(index)
    documents = (*ranked.documents, *(pool[index] for index in chosen))
    return RankedList(
        ranked.question, documents, ranked.query_vector, np.concatenate([ranked.document_vectors, vectors[chosen]])
    )


def noised(share: float) -> Preparation:
    """Every document's vector with Gaussian noise of `share` times its length, at its old length again; by similarity.

    The features err as the order does: this is what a worse encoder gives.
    """

    def disturb(ranked: RankedList, seed: int) -> RankedList:
        own = np.random.default_rng(list(f"{seed}:{ranked.question}".encode("utf-8", "surrogatepass")))
        vectors = ranked.document_vectors
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        noise = own.standard_normal(vectors.shape, dtype=np.float32) * lengths / np.sqrt(vectors.shape[1])
        moved = vectors + share * noise
        moved *= lengths / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-12)
        return rank_by_similarity(replace(ranked, document_vectors=moved.astype(np.float32)))

    return Preparation(
        f"noise {share:g}",
        lambda lists, setting: [disturb(ranked, setting.seed) for ranked in lists],
        alters_vectors=True,
    )


def found_by(finder: str) -> Preparation:
    """In a finder's order: bm25, rerank=MODEL, or a bi-encoder; the vectors stay those of the feature encoder."""

    def order(lists: Sequence[RankedList], setting: Setting) -> list[RankedList]:
        if finder == "bm25" or finder.startswith("rerank="):
            scores = finder_scores([(ranked.question, ranked.documents) for ranked in lists], finder)
        else:
            scores = _similarities(lists, FeatureEncoder.from_pretrained(finder), setting)
        return [_by(ranked, row) for ranked, row in zip(lists, scores, strict=True)]

    return Preparation(f"found by {finder}", order)


def _similarities(lists: Sequence[RankedList], encoder: FeatureEncoder, setting: Setting) -> list[list[float]]:
    from r2ag.records.vectors import describe_records

    records = [Record("", ranked.question, (), ranked.documents) for ranked in lists]
    described = describe_records(encoder, records, setting.vectors)
    return [(ranked.document_vectors @ ranked.query_vector).tolist() for ranked in described]


def _by(ranked: RankedList, scores: Sequence[float]) -> RankedList:
    """By falling score; ties are broken by the text, since some data sets put the gold document first."""
    return ranked.reordered(sorted(range(len(ranked)), key=lambda i: (-scores[i], ranked.documents[i].passage)))


def with_finder_scores(finders: Sequence[str]) -> Preparation:
    """Documents that bear these finders' scores, for adapters that read them as features."""

    def add(lists: Sequence[RankedList], setting: Setting) -> list[RankedList]:
        documents = scored([(ranked.question, ranked.documents) for ranked in lists], finders)
        return [replace(ranked, documents=found) for ranked, found in zip(lists, documents, strict=True)]

    return Preparation(f"with {', '.join(finders)}", add)


def scored(lists: Sequence[Listed], finders: Sequence[str]) -> list[tuple[Document, ...]]:
    """Each list's documents with what each finder says of them, under its name: bm25, rerank."""
    documents = [tuple(found) for _, found in lists]
    for finder in finders:
        name = finder.partition("=")[0]
        documents = [
            tuple(replace(d, scores={**d.scores, name: s}) for d, s in zip(row, scores, strict=True))
            for row, scores in zip(documents, finder_scores(lists, finder), strict=True)
        ]
    return documents


def finder_scores(lists: Sequence[Listed], finder: str) -> list[list[float]]:
    """What bm25 or rerank=MODEL says of each list's documents."""
    if finder == "bm25":
        return bm25_scores(lists)
    return _reranked(lists, finder.removeprefix("rerank="))


def _reranked(lists: Sequence[Listed], name: str) -> list[list[float]]:
    from torch import nn

    from r2ag.retrieval.rerank import load_cross_encoder, relevance_scores

    model: CrossEncoder = load_cross_encoder(name)
    # Logits: a model's own sigmoid would press all that is surely (ir)relevant together.
    return [relevance_scores(model, question, found, nn.Identity()).tolist() for question, found in lists]
