"""/v1/documents."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from r2ag.server.library import Entry


class StoredDocument(BaseModel):
    """A document of the store; it is searched once it is "ready". `reason` says why it "failed"."""

    id: str
    object: Literal["document"] = "document"
    name: str
    bytes: int
    modified: int
    status: Literal["indexing", "ready", "failed"]
    reason: str

    @classmethod
    def of(cls, entry: Entry) -> StoredDocument:
        """The library's entry."""
        return cls(
            id=entry.id,
            name=entry.name,
            bytes=entry.bytes,
            modified=int(entry.modified),
            status=entry.status,
            reason=entry.reason,
        )


class DocumentList(BaseModel):
    """A page of documents by id; where `has_more`, the next page is the one `after` the last id."""

    object: Literal["list"] = "list"
    data: list[StoredDocument]
    has_more: bool


class DeletedDocument(BaseModel):
    """What was deleted."""

    id: str
    object: Literal["document"] = "document"
    deleted: Literal[True] = True
