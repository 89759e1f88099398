"""Distractors for one's own records: near passages of a pool that hold none of the answers."""

from __future__ import annotations

from collections.abc import Sequence
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
    mined = []
    for start in range(0, len(records), ROWS_AT_ONCE):
        batch = records[start : start + ROWS_AT_ONCE]
        scores = encoder.encode_queries([record.question for record in batch]) @ vectors.T
        mined += [_with_distractors(record, row, unique, count) for record, row in zip(batch, scores, strict=True)]
    return mined


def _with_distractors(record: Record, scores: np.ndarray, pool: Sequence[Document], count: int) -> Record:
    relevant = [document for document in record.documents if document.relevant]
    own = {document.passage for document in relevant}
    answers = [answer for answer in record.answers if words(answer) not in (["yes"], ["no"])]
    chosen: list[Document] = []
    for index in np.argsort(-scores, kind="stable"):
        if len(chosen) == count:
            break
        passage = pool[index].passage
        if passage not in own and not any(stands_in(answer, passage) for answer in answers):
            chosen.append(replace(pool[index], relevant=False))
    return replace(record, documents=(*relevant, *chosen))
