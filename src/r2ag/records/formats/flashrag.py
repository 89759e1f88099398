"""FlashRAG's files: JSON lines with id, question, golden_answers and metadata (RUC-NLPIR/FlashRAG_datasets).

Only the sets whose metadata has "context" and "supporting_facts" (HotpotQA, 2WikiMultiHopQA) hold documents. Questions
of the others are left out of what is written.
"""

from __future__ import annotations

from r2ag.records.formats import titled
from r2ag.records.formats.row import Format, Row
from r2ag.types import Record


def _fits(row: Row) -> bool:
    return row.has("question", "golden_answers")


def _record(row: Row, seed: int) -> Record:
    question = row.text("question")
    metadata = row.fields.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise row.wrong("metadata", "must be an object")
    inner = Row(metadata, f"{row.where}, metadata")
    documents = titled.documents(inner) if inner.has("context", "supporting_facts") else ()
    return Record(str(row.fields.get("id", question)), question, row.texts("golden_answers"), documents)


FORMAT = Format("flashrag", _fits, _record)
