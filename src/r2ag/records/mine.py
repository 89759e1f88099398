"""Mines distractors for records: passages of a pool that are near to the question and hold none of the answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from r2ag.answering.matching import stands_in, words
from r2ag.encoder.encoder import FeatureEncoder
from r2ag.errors import InputError
from r2ag.types import Document, Record

ROWS_AT_ONCE = 256


def mine_distractors(
    records: Sequence[Record], pool: Sequence[Document], encoder: FeatureEncoder, count: int
) -> list[Record]:
    """Each record with its relevant documents and the `count` passages of the pool that are nearest to its question.

    Passages that hold an answer or are one of the record's relevant documents are left out: they would be relevant
    without the label. yes and no stand in nearly every passage and are not looked for.

    Raises:
        InputError: the pool is empty or count is below 1.
    """
    if not pool or count < 1:
        raise InputError("Mining needs a pool of passages and a count of at least 1.")
    unique = list({document.passage: document for document in pool}.values())
    vectors = encoder.encode_documents(unique)
    orders = nearest_first(encoder, [record.question for record in records], vectors)
    return [_with_distractors(record, order, unique, count) for record, order in zip(records, orders, strict=True)]


def nearest_first(encoder: FeatureEncoder, questions: Sequence[str], vectors: np.ndarray) -> Iterator[np.ndarray]:
    """For each question the indices of all `vectors`, (count, dimension), by falling similarity: (count,)."""
    for start in range(0, len(questions), ROWS_AT_ONCE):
        scores = encoder.encode_queries(questions[start : start + ROWS_AT_ONCE]) @ vectors.T
        for row in scores:
            yield np.argsort(-row, kind="stable")


def _with_distractors(record: Record, order: np.ndarray, pool: Sequence[Document], count: int) -> Record:
    relevant = [document for document in record.documents if document.relevant]
    own = {document.passage for document in relevant}
    answers = [answer for answer in record.answers if words(answer) not in (["yes"], ["no"])]
    chosen: list[Document] = []
    for index in order:
        if len(chosen) == count:
            break
        passage = pool[index].passage
        if passage not in own and not any(stands_in(answer, passage) for answer in answers):
            chosen.append(replace(pool[index], relevant=False))
    return replace(record, documents=(*relevant, *chosen))
