"""NQ as "Lost in the Middle" gives it: `nq-open-20_total_documents_gold_at_0.jsonl.gz` and its like.

Fields: question, answers, ctxs, each with title, text, hasanswer, isgold (Liu et al., qa_data in their repository).
"""

from __future__ import annotations

from r2ag.records.formats.order import by_hash
from r2ag.records.formats.row import Format, Row, first_of
from r2ag.types import Document, Record


def _fits(row: Row) -> bool:
    passage = first_of(row, "ctxs")
    return row.has("question", "answers") and passage is not None and passage.has("isgold")


def _record(row: Row, seed: int) -> Record:
    """The gold document stands at one and the same place in all lines of a file, so that their order is given up."""
    question = row.text("question")
    documents = [
        Document(passage.text("text"), passage.optional_text("title"), relevant=passage.flag("isgold"))
        for passage in row.rows("ctxs")
    ]
    return Record(question, question, row.texts("answers"), by_hash(documents, seed))


FORMAT = Format("lost-in-the-middle", _fits, _record)
