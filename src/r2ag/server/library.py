"""The server's documents: a store, and a folder that holds the uploaded files.

After a crash, indexing the folder again makes the store agree with it. One thread changes the store; searches run at
the same time and see complete states.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import BinaryIO, Literal

import typer
from pydantic import BaseModel

from r2ag.corpus.formats import why_not_read
from r2ag.encoder.encoder import TextEncoder
from r2ag.errors import InputError
from r2ag.io.atomic import whole_file
from r2ag.server.errors import ApiError, store_errors
from r2ag.store import AnySnapshot, AnyStore, Store, index_files, remove_files
from r2ag.store.where import storable

UPLOADS = "uploads"
MAX_NAME_BYTES = 200
_NOT_IN_NAMES = frozenset('/\\<>:"|?*')
logger = logging.getLogger(__name__)


class StoredDocument(BaseModel):
    """A document of the store; it is searched once it is "ready". `reason` says why it "failed"."""

    id: str
    object: Literal["document"] = "document"
    name: str
    bytes: int
    modified: int  # seconds since 1970
    status: Literal["indexing", "ready", "failed"]
    reason: str


class Library:
    """Adds, lists and deletes documents.

    Args:
        encoder: the store's; it must work on any thread.
        folder: holds the uploaded files; made if it does not exist.

    Raises:
        InputError: the folder can't be made.
    """

    def __init__(self, store: AnyStore, encoder: TextEncoder, folder: Path) -> None:
        self._store = store
        self._encoder = encoder
        self._folder = _absolute(folder)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"The folder {folder} for uploads can't be made ({error.strerror}).") from None
        self._is_own = isinstance(store, Store) and self._folder == _absolute(uploads_folder(store))
        self._work = ThreadPoolExecutor(1, thread_name_prefix="indexing")
        self._uploads: dict[str, StoredDocument] = {}  # those that wait for indexing, are being indexed or have failed
        self._lock = Lock()  # a file in the folder and its entry in _uploads change together

    def start(self) -> None:
        """Makes the store agree with the folder. They differ after the server was killed or the store was moved."""
        self._work.submit(self._agree)

    def close(self) -> None:
        """Finishes the document that is being indexed; the others are indexed at the next start."""
        self._work.shutdown(cancel_futures=True)

    def entries(self) -> list[StoredDocument]:
        """All documents, by id."""
        uploads = dict(self._uploads)  # before the store, so that no upload is missed that becomes ready meanwhile
        with self._snapshot() as snapshot:
            files = snapshot.files().values()
            stored = [_document(file.source, file.size, file.modified) for file in files]
        return [entry for _, entry in sorted(({entry.id: entry for entry in stored} | uploads).items())]

    def entry(self, id_: str) -> StoredDocument:
        """One document.

        Raises:
            ApiError: there is none of this id.
        """
        for entry in self.entries():
            if entry.id == id_:
                return entry
        raise ApiError(
            404, "There is no document of this id; GET /v1/documents lists them.", "id", "document_not_found"
        )

    def is_empty(self) -> bool:
        """Whether there is nothing to search."""
        with self._snapshot() as snapshot:
            return not len(snapshot)

    def add(self, name: str, content: BinaryIO) -> StoredDocument:
        """Writes an upload to the folder and queues it for indexing; the same name replaces. Waits for the disk.

        Raises:
            ApiError: the name can't be used, or files of its kind can't be read.
            OSError: the file can't be written; nothing has changed.
        """
        check_name(name)
        path = self._folder / name
        if (reason := why_not_read(Path(name))) is not None:
            raise ApiError(400, f"The file {name!r} {reason}", "file")
        size = content.seek(0, os.SEEK_END)
        content.seek(0)
        if not size:
            raise ApiError(400, f"The file {name!r} is empty; upload one with text in it.", "file")
        entry = _document(self._source(name), size, time.time(), "indexing")
        with self._lock:
            with whole_file(path) as new, new.open("wb") as file:
                shutil.copyfileobj(content, file)
            self._uploads[entry.id] = entry
        self._work.submit(self._index, path, entry)
        return entry

    def delete(self, id_: str) -> Future[None]:
        """Deletes a document, and its file if it was uploaded, once earlier uploads are indexed.

        The future raises ApiError where the store can't be changed; nothing has changed then.

        Raises:
            ApiError: there is none of this id.
        """
        return self._work.submit(self._forget, self.entry(id_))

    @contextmanager
    def _snapshot(self) -> Iterator[AnySnapshot]:
        with store_errors("The store could not be read.", "read"), self._store.snapshot() as snapshot:
            yield snapshot

    def _agree(self) -> None:
        """Indexes the folder. An empty one elsewhere proves nothing: it may belong to another server than the one that
        took the uploads."""
        try:
            if any(self._folder.iterdir()) or (self._is_own and self._knows_uploads()):
                index_files(self._store, [self._folder], self._encoder)
                if self._is_own:
                    self._forget_moved()
        except Exception:
            logger.exception("Uploads could not be indexed.")

    def _knows_uploads(self) -> bool:
        with self._store.snapshot() as snapshot:
            return any(source == self._source(Path(source).name) for source in snapshot.files())

    def _forget_moved(self) -> None:
        """Removes uploads under their former paths, after the store was moved or restored."""
        with self._store.snapshot() as snapshot:
            known = snapshot.files()
        moved = []
        for path, file in ((Path(source), file) for source, file in known.items()):
            here = known.get(self._source(path.name), file)
            if path.parent.name == UPLOADS and here.source != file.source and here.digest == file.digest:
                moved.append(path)
        if moved:
            remove_files(self._store, moved)

    def _index(self, path: Path, entry: StoredDocument) -> None:
        if self._uploads.get(entry.id) is not entry:
            return  # it was replaced meanwhile
        try:
            report = index_files(self._store, [path], self._encoder)
        except Exception:  # not the file's fault: another process may be writing the store
            logger.exception("An upload could not be indexed.")
            reason = "It could not be indexed now; the server's log says why. Upload it again, or restart the server."
            self._settle(entry, reason, is_kept=True)
        else:
            self._settle(entry, f"It {report.skipped[0].reason}" if report.skipped else "", is_kept=False)

    def _settle(self, entry: StoredDocument, reason: str, is_kept: bool) -> None:
        """Records the outcome of indexing an upload, unless it was replaced meanwhile."""
        with self._lock:
            if self._uploads.get(entry.id) is not entry:
                return
            if not reason:
                del self._uploads[entry.id]
                return
            self._uploads[entry.id] = entry.model_copy(update={"status": "failed", "reason": reason})
            if not is_kept:
                (self._folder / entry.name).unlink(missing_ok=True)

    def _forget(self, entry: StoredDocument) -> None:
        with self._snapshot() as snapshot:
            stored = [Path(source) for source in snapshot.files() if document_id(source) == entry.id]
        if stored:
            with store_errors("The store could not be changed.", "changed"):
                remove_files(self._store, stored)
        with self._lock:
            upload = self._uploads.get(entry.id)
            if upload is not None and upload.status == "indexing":
                return  # a later upload: all earlier ones have been indexed by now
            self._uploads.pop(entry.id, None)
            if document_id(self._source(entry.name)) == entry.id:
                (self._folder / entry.name).unlink(missing_ok=True)

    def _source(self, name: str) -> str:
        """The path by which the store knows an upload."""
        return storable(str(self._folder / name))


def _absolute(folder: Path) -> Path:
    """Absolute, with links kept, as the store names its files."""
    return Path(os.path.abspath(folder))  # noqa: PTH100


def uploads_folder(store: AnyStore) -> Path:
    """Inside an embedded store; for another store, a folder of its own in the user's data folder."""
    if isinstance(store, Store):
        return store.folder / UPLOADS
    return _data_folder() / UPLOADS / hashlib.sha256(os.fsencode(store.name)).hexdigest()[:24]


def _data_folder() -> Path:
    """~/.local/share/r2ag, or where $XDG_DATA_HOME says; macOS and Windows have one folder for settings and data."""
    if sys.platform in ("darwin", "win32"):
        return Path(typer.get_app_dir("r2ag"))
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "r2ag"


def document_id(source: str) -> str:
    """The id that clients see instead of the file's path."""
    return f"doc-{hashlib.sha256(source.encode('utf-8', 'replace')).hexdigest()[:24]}"


def check_name(name: str) -> None:
    """Refuses names that are not plain file names on every system.

    Raises:
        ApiError: says what is wrong.
    """
    shown = repr(name[:80])
    if _NOT_IN_NAMES & set(name) or not name.isprintable() or name.startswith(".") or name != name.strip():
        raise ApiError(400, f"A document can't be named {shown}; give a plain file name, without folders.", "file")
    if not 0 < len(name.encode()) <= MAX_NAME_BYTES:
        raise ApiError(400, f"A document's name takes 1 to {MAX_NAME_BYTES} bytes; {shown} does not.", "file")


def _document(
    source: str, size: int, modified: float, status: Literal["indexing", "ready"] = "ready"
) -> StoredDocument:
    """A file as clients see it: by its name, without its path."""
    return StoredDocument(
        id=document_id(source), name=Path(source).name, bytes=size, modified=int(modified), status=status, reason=""
    )
