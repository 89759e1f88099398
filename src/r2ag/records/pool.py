"""Pools of passages to mine distractors from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from r2ag.errors import InputError
from r2ag.records.formats.beir import read_passages
from r2ag.records.formats.row import Row
from r2ag.types import Document

if TYPE_CHECKING:
    from r2ag.encoder.encoder import FeatureEncoder

_JSON = (".jsonl", ".json", ".jsonl.gz", ".json.gz")


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
