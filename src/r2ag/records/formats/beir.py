"""BEIR's folders: open retrieval, where each question is searched in one corpus.

corpus.jsonl has _id, title, text; queries.jsonl has _id, text, metadata; qrels/SPLIT.tsv has query-id, corpus-id, score
under a line of names (beir-cellar/beir). Scores above 0 mean relevant. Files may be gzip'd.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from r2ag.encoder.encoder import FeatureEncoder
from r2ag.errors import InputError
from r2ag.records.files import opened
from r2ag.records.formats.rows import Row, read_passages, read_rows
from r2ag.records.mine import nearest_first
from r2ag.records.split import by_hash
from r2ag.types import Document, Record


@dataclass(frozen=True)
class Question:
    """One that somebody judged passages for; `relevant` holds their places in the corpus."""

    id: str
    text: str
    answers: tuple[str, ...]
    relevant: frozenset[int]


@dataclass(frozen=True)
class OpenRetrieval:
    """Questions over one corpus."""

    name: str
    corpus: tuple[Document, ...]
    questions: tuple[Question, ...]

    def search(self, encoder: FeatureEncoder, k: int) -> np.ndarray:
        """Places in the corpus of the k passages nearest to each question, nearest first: shape (questions, k)."""
        vectors = encoder.encode_documents(self.corpus, progress=True)
        orders = nearest_first(encoder, [question.text for question in self.questions], vectors)
        return np.stack([order[:k].copy() for order in orders])  # not views, which would keep whole orders

    def records(self, found: np.ndarray, seed: int = 0) -> list[Record]:
        """Records of the questions that have an answer, with the passages found; not all relevant ones need be there.

        The passages come in an order that the seed decides.
        """
        records = []
        for question, places in zip(self.questions, found.tolist(), strict=True):
            documents = by_hash((replace(self.corpus[i], relevant=i in question.relevant) for i in places), seed)
            if question.answers:
                records.append(Record(question.id, question.text, question.answers, documents, self.name))
        return records


def is_beir(folder: Path) -> bool:
    """Whether a folder holds BEIR's files."""
    return folder.is_dir() and _file(folder, "corpus.jsonl").is_file() and _file(folder, "queries.jsonl").is_file()


def read_beir(folder: Path, split: str = "test") -> OpenRetrieval:
    """The corpus and the judged questions of one split.

    Answers are "answer" or "answers" in a question's metadata; most sets have none.

    Raises:
        InputError: a file is missing or a line of it can't be used; names it.
    """
    places: dict[str, int] = {}
    corpus: list[Document] = []
    for row in read_passages(_file(folder, "corpus.jsonl")):
        places[row.text("_id")] = len(corpus)
        corpus.append(Document(row.optional_text("text"), row.optional_text("title")))
    relevant = _judgements(folder, split, places)
    questions = tuple(
        Question(name, row.text("text"), _answers(row), frozenset(relevant[name]))
        for row in read_rows(_file(folder, "queries.jsonl"))
        if (name := row.text("_id")) in relevant
    )
    if not corpus or not questions:
        raise InputError(
            f"{folder}: no question of queries.jsonl is judged in qrels/{split}.tsv; choose another --split."
        )
    return OpenRetrieval(folder.name, tuple(corpus), questions)


def _file(folder: Path, name: str) -> Path:
    packed = folder / f"{name}.gz"
    return packed if packed.is_file() else folder / name


def _judgements(folder: Path, split: str, places: Mapping[str, int]) -> dict[str, set[int]]:
    file = _file(folder / "qrels", f"{split}.tsv")
    if not file.is_file():
        known = sorted(path.name.split(".")[0] for path in (folder / "qrels").glob("*.tsv*"))
        raise InputError(f"There is no file {file}; choose --split from {', '.join(known) or 'none that is there'}.")
    found: dict[str, set[int]] = defaultdict(set)
    with opened(file) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="")
        for number, line in enumerate(csv.reader(text, delimiter="\t"), 1):
            if number > 1 and line:
                question, passage = _judgement(line, f"{file}, line {number}")
                if passage is not None and passage in places:
                    found[question].add(places[passage])
    return found


def _judgement(line: Sequence[str], where: str) -> tuple[str, str | None]:
    """(question, passage), the passage None where it is judged not relevant."""
    try:
        question, passage, score = line
        return question, passage if int(score) > 0 else None
    except ValueError:
        raise InputError(
            f"{where}: must be a question's id, a passage's id and a whole number, with tabs between."
        ) from None


def _answers(row: Row) -> tuple[str, ...]:
    metadata = row.fields.get("metadata")
    inner = Row(metadata if isinstance(metadata, dict) else {}, f"{row.where}, metadata")
    return (inner.text("answer"),) if inner.has("answer") else inner.texts("answers")
