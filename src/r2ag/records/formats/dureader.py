"""DuReader 2.0, raw or preprocessed: JSON lines.

Fields: question_id, question, answers, documents, each with title, paragraphs, is_selected, and more (baidu/DuReader).
A document is relevant where an annotator used it for an answer. Questions that nobody could answer have no answers
and are left out of what is written.
"""

from __future__ import annotations

from r2ag.records.formats.row import Format, Row, first_of
from r2ag.types import Document, Record


def _fits(row: Row) -> bool:
    document = first_of(row, "documents")
    return row.has("question") and document is not None and document.has("paragraphs")


def _record(row: Row, seed: int) -> Record:
    """Documents stay in the search engine's order, the paragraphs of one are its text."""
    question = row.text("question")
    documents = tuple(
        Document("\n".join(paragraphs), document.optional_text("title"), relevant=document.flag("is_selected"))
        for document in row.rows("documents")
        if (paragraphs := document.texts("paragraphs"))
    )
    return Record(str(row.fields.get("question_id", question)), question, row.texts("answers"), documents)


FORMAT = Format("dureader", _fits, _record)
