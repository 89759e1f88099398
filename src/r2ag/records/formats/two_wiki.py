"""2WikiMultiHopQA: HotpotQA's form with the field evidences (README of Alab-NII/2wikimultihop)."""

from __future__ import annotations

from r2ag.records.formats import hotpotqa
from r2ag.records.formats.row import Format, Row


def _fits(row: Row) -> bool:
    return row.has("evidences") and hotpotqa.fits(row)


FORMAT = Format("2wikimultihopqa", _fits, hotpotqa.record)
