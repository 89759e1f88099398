"""MuSiQue: JSON lines.

Fields: id, question, answer, answer_aliases, answerable, paragraphs, each with title, paragraph_text, is_supporting
(StonyBrookNLP/musique). The unanswerable questions of MuSiQue-Full have no answer in their paragraphs: they come out
without one, and are left out of what is written.
"""

from __future__ import annotations

from r2ag.records.formats.row import Format, Row, first_of
from r2ag.types import Document, Record


def _fits(row: Row) -> bool:
    paragraph = first_of(row, "paragraphs")
    return row.has("question", "answer") and paragraph is not None and paragraph.has("paragraph_text")


def _record(row: Row, seed: int) -> Record:
    answerable = row.flag("answerable") if row.has("answerable") else True
    answers = tuple(dict.fromkeys((row.text("answer"), *row.texts("answer_aliases"))))
    documents = tuple(
        Document(
            paragraph.text("paragraph_text"),
            paragraph.optional_text("title"),
            relevant=paragraph.flag("is_supporting"),
        )
        for paragraph in row.rows("paragraphs")
    )
    return Record(row.text("id"), row.text("question"), answers if answerable else (), documents)


FORMAT = Format("musique", _fits, _record)
