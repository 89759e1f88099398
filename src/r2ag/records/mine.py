"""Mines distractors for records: reads a pool of passages, and takes those near to a question that hold no answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from r2ag.answering.matching import stands_in, words
from r2ag.encoder.encoder import FeatureEncoder
from r2ag.errors import InputError
from r2ag.records.formats.rows import Row, read_passages
from r2ag.types import Document, Record

ROWS_AT_ONCE = 256
_JSON = (".jsonl", ".json", ".jsonl.gz", ".json.gz")


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


def read_pool(paths: Sequence[Path], encoder: FeatureEncoder) -> list[Document]:
    """The passages of JSON lines, and of files and folders that `r2ag.corpus` reads, in the encoder's sizes.

    JSON lines hold "text" and, if they like, "title" (BEIR's corpora), or "contents", whose first line is the title
    (FlashRAG's).

    Raises:
        InputError: a path is missing or a line holds no passage; names it.
    """
    from r2ag.corpus import read_documents

    passages = [_passage(row) for path in paths if _is_json(path) for row in read_passages(path)]
    others = [path for path in paths if not _is_json(path)]
    return passages + (read_documents(others, encoder.count_tokens, encoder.passage_tokens) if others else [])


def _is_json(path: Path) -> bool:
    return path.name.lower().endswith(_JSON)


def _passage(row: Row) -> Document:
    if row.has("text"):
        return Document(row.text("text"), row.optional_text("title"))
    if not row.has("contents"):
        raise InputError(f'{row.where}: a passage needs "text" or "contents".')
    title, _, text = row.text("contents").partition("\n")
    return Document(text.strip(), title.strip().strip('"')) if text.strip() else Document(title)
