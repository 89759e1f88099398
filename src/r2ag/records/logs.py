"""Question logs with known good documents as records: which passages of these documents are the relevant ones.

A line of a log is one JSON object: "question"; "answers" (a list) or "answer"; and "sources" (names of files, or paths
as far as they matter) or "source"; or "passages", a store's own ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

import numpy as np

from r2ag.answering.matching import stands_in
from r2ag.encoder.encoder import FeatureEncoder
from r2ag.errors import InputError
from r2ag.records.formats.rows import Row, read_rows
from r2ag.types import Document, Record


@dataclass(frozen=True)
class LoggedQuestion:
    """A question with its answers, and the files or passages that are known to be good."""

    id: str
    question: str
    answers: tuple[str, ...]
    sources: tuple[str, ...] = ()
    passages: tuple[int, ...] = ()


@dataclass(frozen=True)
class Labelled:
    """Records whose documents are the relevant passages, and what became of the log.

    without_answer: how many have an answer that no passage of their good files holds; there the passage nearest to the
    question counts. unknown: questions none of whose good documents is there; they are left out.
    """

    records: list[Record]
    without_answer: int
    unknown: list[LoggedQuestion]


def read_log(file: Path) -> list[LoggedQuestion]:
    """The questions of a log.

    Raises:
        InputError: names the file, the line and what is wrong with it.
    """
    questions = [_question(row) for row in read_rows(file)]
    if not questions:
        raise InputError(f"{file} holds no questions; each line must be one JSON object.")
    return questions


def label(questions: Sequence[LoggedQuestion], passages: Mapping[int, Document], encoder: FeatureEncoder) -> Labelled:
    """Finds each question's relevant passages among those of its good files: those that hold an answer, else the
    nearest one. Passages that the log names by their ids are relevant as they are.

    Args:
        passages: all there are, by their ids.
    """
    by_name: dict[str, list[int]] = {}
    for identity, passage in passages.items():
        by_name.setdefault(PurePath(passage.source).name, []).append(identity)
    records, unknown, without_answer = [], [], 0
    for logged in questions:
        named = [identity for identity in logged.passages if identity in passages]
        among = [i for name in logged.sources for i in by_name.get(PurePath(name).name, ()) if _is(passages[i], name)]
        holding = [i for i in among if any(stands_in(answer, passages[i].passage) for answer in logged.answers)]
        if not named and not among:
            unknown.append(logged)
            continue
        if not named and not holding:
            without_answer += 1
            holding = [_nearest(logged.question, among, passages, encoder)]
        relevant = tuple(replace(passages[i], relevant=True) for i in dict.fromkeys([*named, *holding]))
        records.append(Record(logged.id, logged.question, logged.answers, relevant))
    return Labelled(records, without_answer, unknown)


def _question(row: Row) -> LoggedQuestion:
    question = row.text("question")
    answers = row.texts("answers") if row.has("answers") else (row.text("answer"),)
    if not answers:
        raise row.wrong("answers", "must hold at least one string")
    sources = row.texts("sources") if row.has("sources") else tuple(filter(None, [row.optional_text("source")]))
    passages = row.items("passages")
    if not all(type(identity) is int for identity in passages):
        raise row.wrong("passages", "must be a list of a store's ids, which are whole numbers")
    if not sources and not passages:
        raise row.wrong("sources", 'must name the good files; "passages" names a store\'s passages')
    return LoggedQuestion(str(row.fields.get("id", question)), question, answers, sources, tuple(passages))


def _is(passage: Document, name: str) -> bool:
    """Whether a passage's file is the one that a log names, by as much of its path as the log gives."""
    parts = PurePath(name).parts
    return PurePath(passage.source).parts[-len(parts) :] == parts


def _nearest(question: str, among: Sequence[int], passages: Mapping[int, Document], encoder: FeatureEncoder) -> int:
    vectors = encoder.encode_documents([passages[identity] for identity in among])
    return among[int(np.argmax(vectors @ encoder.encode_queries([question])[0]))]
