"""HotpotQA in the distractor setting: a JSON array, or its rows on the hub.

Fields: _id (on the hub id), question, answer, supporting_facts, context (README of hotpotqa/hotpot). A paragraph is
relevant where a supporting fact stands in it.
"""

from __future__ import annotations

from r2ag.records.formats.row import Format, Row
from r2ag.records.formats.titled import documents
from r2ag.types import Record


def fits(row: Row) -> bool:
    """Also of 2WikiMultiHopQA, which has more fields."""
    return row.has("question", "answer", "supporting_facts", "context")


def record(row: Row, seed: int) -> Record:
    """The paragraphs come shuffled, and stay as they come."""
    name = "_id" if row.has("_id") else "id"
    return Record(row.text(name), row.text("question"), (row.text("answer"),), documents(row))


FORMAT = Format("hotpotqa", fits, record)
