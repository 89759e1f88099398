"""What studies do to lists before they are read: other orders, gold documents moved or gone, distractors, noise.

A seed and the question decide each of these, so that a record has the same list in every run and for every method.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from r2ag.encoder.encoder import FeatureEncoder, rank_by_similarity
from r2ag.records.vectors import describe_records
from r2ag.retrieval.bm25 import bm25_scores
from r2ag.studies.base import Preparation, Setting
from r2ag.types import RankedList, Record

MOST_DOCUMENTS = 32
POOL = 5000  # passages of other records that distractors are chosen from

Listed = TypeVar("Listed", Record, RankedList)


def gold_at(place: int) -> Preparation:
    """The relevant documents together, the first of them at this place (from 1); the others by similarity."""

    def move(ranked: RankedList) -> RankedList:
        ordered = rank_by_similarity(ranked)
        relevant = [i for i, document in enumerate(ordered.documents) if document.relevant]
        others = [i for i, document in enumerate(ordered.documents) if not document.relevant]
        return ordered.reordered([*others[: place - 1], *relevant, *others[place - 1 :]])

    return Preparation(lambda lists, setting: [move(ranked) for ranked in lists])


# A list of relevant documents alone stays: no method can read nothing.
NO_GOLD = Preparation(
    lambda lists, setting: [rank_by_similarity(ranked.without_relevant() or ranked) for ranked in lists]
)


def distractors(count: int) -> Preparation:
    """Adds up to `count` passages of other questions' records, the nearest to the question; then by similarity."""
    return Preparation(lambda lists, setting: _with_distractors(lists, count, setting.seed))


def _with_distractors(lists: Sequence[RankedList], count: int, seed: int) -> list[RankedList]:
    places = [(i, j) for i, ranked in enumerate(lists) for j in range(len(ranked))]
    random.Random(seed).shuffle(places)
    places = places[:POOL]
    documents = [replace(lists[i].documents[j], relevant=False) for i, j in places]
    questions = [lists[i].question for i, _ in places]
    vectors = np.stack([lists[i].document_vectors[j] for i, j in places])

    def add(ranked: RankedList) -> RankedList:
        seen = {document.passage for document in ranked.documents}
        chosen: list[int] = []
        for index in np.argsort(-(vectors @ ranked.query_vector), kind="stable").tolist():
            if len(chosen) == min(count, MOST_DOCUMENTS - len(ranked)):
                break
            if questions[index] != ranked.question and documents[index].passage not in seen:
                seen.add(documents[index].passage)
                chosen.append(index)
        return replace(
            ranked,
            documents=(*ranked.documents, *(documents[index] for index in chosen)),
            document_vectors=np.concatenate([ranked.document_vectors, vectors[chosen]]),
        )

    return [rank_by_similarity(add(ranked)) for ranked in lists]


def noised(share: float) -> Preparation:
    """Gaussian noise of `share` times its length on every vector, which keeps its length; then by similarity.

    The features err as the order does, as with a worse encoder.
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
        lambda lists, setting: [disturb(ranked, setting.seed) for ranked in lists], altered=f"noise {share:g}"
    )


def found_by(finder: str) -> Preparation:
    """In a finder's order: bm25, rerank=MODEL, or a bi-encoder; the vectors stay those of the feature encoder."""

    def order(lists: Sequence[RankedList], setting: Setting) -> list[RankedList]:
        if makes_no_vectors(finder):
            scores = finder_scores(lists, finder)
        else:
            records = [Record("", ranked.question, (), ranked.documents) for ranked in lists]
            described = describe_records(FeatureEncoder.from_pretrained(finder), records, setting.vectors)
            scores = [(ranked.document_vectors @ ranked.query_vector).tolist() for ranked in described]
        return [_by(ranked, row) for ranked, row in zip(lists, scores, strict=True)]

    return Preparation(order)


def _by(ranked: RankedList, scores: Sequence[float]) -> RankedList:
    """By falling score; ties are broken by the text, since some data sets put the gold document first."""
    return ranked.reordered(sorted(range(len(ranked)), key=lambda i: (-scores[i], ranked.documents[i].passage)))


def with_finder_scores(finder: str) -> Preparation:
    """Documents with a finder's scores, for adapters that read them as a feature."""
    return Preparation(lambda lists, setting: scored(lists, finder))


def scored(lists: Sequence[Listed], finder: str) -> list[Listed]:
    """The lists, or records, whose documents have a finder's score under its name: bm25 or rerank."""
    name = finder.partition("=")[0]
    return [
        replace(
            one,
            documents=tuple(
                replace(document, scores={**document.scores, name: score})
                for document, score in zip(one.documents, scores, strict=True)
            ),
        )
        for one, scores in zip(lists, finder_scores(lists, finder), strict=True)
    ]


def makes_no_vectors(finder: str) -> bool:
    """Whether a finder is bm25 or rerank=MODEL, and no bi-encoder."""
    return finder == "bm25" or finder.startswith("rerank=")


def finder_scores(lists: Sequence[Listed], finder: str) -> list[list[float]]:
    """The score that bm25 or rerank=MODEL gives each list's documents."""
    if finder == "bm25":
        return bm25_scores([(one.question, one.documents) for one in lists])
    from torch import nn

    from r2ag.retrieval.rerank import load_cross_encoder, relevance_scores

    model = load_cross_encoder(finder.removeprefix("rerank="))
    # Logits: a model's own sigmoid would press all that is surely (ir)relevant together.
    return [relevance_scores(model, one.question, one.documents, nn.Identity()).tolist() for one in lists]
