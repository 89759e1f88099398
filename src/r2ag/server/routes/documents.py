"""/v1/documents: what the store holds."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Query, UploadFile
from pydantic import BaseModel

from r2ag.server.errors import ApiError
from r2ag.server.library import Library, StoredDocument
from r2ag.server.routes import CurrentService
from r2ag.server.service import Service

router = APIRouter(tags=["documents"])


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


@router.get("/v1/documents")
async def list_documents(
    service: CurrentService,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: Annotated[str, Query(max_length=100)] = "",
) -> DocumentList:
    """Documents by id, a page at a time."""
    entries = [entry for entry in await asyncio.to_thread(_library(service).entries) if entry.id > after]
    return DocumentList(data=entries[:limit], has_more=len(entries) > limit)


@router.post("/v1/documents", status_code=202)
async def add_document(file: UploadFile, service: CurrentService) -> StoredDocument:
    """Takes a file, and indexes it while other requests go on; one of the same name is replaced."""
    library = _library(service)
    if (file.size or 0) > service.limits.upload_bytes:
        raise ApiError(413, f"The file is larger than {service.limits.upload_bytes:,} bytes; split it.", "file")
    return await asyncio.to_thread(library.add, file.filename or "", file.file)


@router.get("/v1/documents/{id}")
async def retrieve_document(id: str, service: CurrentService) -> StoredDocument:  # noqa: A002 - the address calls it so
    """One document: whether it is indexed, or why not."""
    return await asyncio.to_thread(_library(service).entry, id)


@router.delete("/v1/documents/{id}")
async def delete_document(id: str, service: CurrentService) -> DeletedDocument:  # noqa: A002
    """Deletes a document once the one that is being indexed is done; no later search finds it."""
    done = await asyncio.to_thread(_library(service).delete, id)
    async with asyncio.timeout(service.limits.deadline_s):
        await asyncio.shield(asyncio.wrap_future(done))
    return DeletedDocument(id=id)


def _library(service: Service) -> Library:
    if service.library is None:
        raise ApiError(404, "This server has no store; start it with r2ag serve --store DIR to add documents.")
    return service.library
