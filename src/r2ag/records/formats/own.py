"""r2ag's own records."""

from __future__ import annotations

from r2ag.records.files import parse_record
from r2ag.records.formats.row import Format, Row, first_of
from r2ag.types import Record


def _fits(row: Row) -> bool:
    document = first_of(row, "documents")
    return row.has("question", "answers") and document is not None and document.has("text")


def _record(row: Row, seed: int) -> Record:
    return parse_record(row.fields, row.where)


FORMAT = Format("r2ag", _fits, _record)
