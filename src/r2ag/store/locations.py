"""Stores by their names: opened, made, and copied into one another as they are, without encoding anything again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from r2ag.encoder.encoder import TextEncoder
from r2ag.encoder.probe import Probe
from r2ag.errors import InputError
from r2ag.store.base import AnySnapshot, AnyStore, StoredFile
from r2ag.store.indexing import in_batches
from r2ag.store.store import Store
from r2ag.types import Progress

PASSAGES_AT_ONCE = 512


def open_store(location: str | Path) -> AnyStore:
    """The store that is there.

    Args:
        location: a folder, postgresql://HOST/DATABASE or qdrant+http://HOST:6333/COLLECTION; docs/stores.md has more.

    Raises:
        InputError: it is not there, can't be reached or used, or its client's package is missing.
    """
    return _kind(str(location)).open(location)


def create_store(location: str | Path, encoder: TextEncoder | Probe) -> AnyStore:
    """A store for vectors of this encoder: the one that is there, else a new, empty one. See open_store.

    Raises:
        InputError: it can't be made, or holds other things, or vectors of another encoder.
    """
    return _kind(str(location)).create(location, encoder)


def _kind(location: str) -> type[AnyStore]:
    scheme, mark, _ = location.partition("://")
    if not mark:
        return Store
    match scheme:
        case "postgresql" | "postgres":
            _need("postgres", "PostgreSQL", ("pgvector", "psycopg", "snowballstemmer"))
            from r2ag.store.postgres.store import PostgresStore

            return PostgresStore
        case "qdrant+http" | "qdrant+https":
            _need("qdrant", "Qdrant", ("qdrant_client", "snowballstemmer"))
            from r2ag.store.qdrant import QdrantStore

            return QdrantStore
    raise InputError(
        f"--store names a folder, postgresql://HOST/DATABASE or qdrant+http://HOST:6333/COLLECTION, and not "
        f"an address that begins with {scheme[:40]}://."
    )


def _need(extra: str, what: str, packages: Sequence[str]) -> None:
    missing = [package.replace("_", "-") for package in packages if find_spec(package) is None]
    if missing:
        raise InputError(f"A store in {what} needs {' and '.join(missing)}; install with: pip install 'r2ag[{extra}]'")


@dataclass(frozen=True)
class CopyReport:
    """What both stores now hold.

    copied: files that were not there before. checksum: SHA-256 of all texts, metadata and vectors, in hex.
    """

    files: int
    passages: int
    copied: int
    checksum: str


def copy_store(source: AnyStore, target: str | Path, on_progress: Progress | None = None) -> CopyReport:
    """Copies what a store holds, then reads both and compares.

    When it is interrupted, even by a kill, the same call takes it up where it was.

    Args:
        target: a store's name, as open_store takes it; made where it is not there.
        on_progress: is told of passages.

    Raises:
        InputError: the target can't be made, holds other files or other vectors, or differs in the end.
    """
    with create_store(target, source.encoder) as into, source.snapshot() as snapshot:
        files = snapshot.files()
        passages = {name: snapshot.ids(name) for name in files}
        with into.writing() as writer:
            missing = _missing(into, files)
            done, total = 0, sum(len(passages[name]) for name in missing)
            missing.sort(key=lambda name: passages[name][:1])  # as they were stored
            for batch in in_batches(missing, lambda name: len(passages[name]), PASSAGES_AT_ONCE):
                with writer.batch():
                    for name in batch:
                        ids = passages[name]
                        writer.put(files[name], snapshot.documents(ids), snapshot.vectors(ids))
                        done += len(ids)
                if on_progress is not None:
                    on_progress("Copying", done, total)
        with into.snapshot() as copy:
            checksum = _compared(source.name, snapshot, into.name, copy)
    return CopyReport(len(files), sum(map(len, passages.values())), len(missing), checksum)


def _missing(into: AnyStore, files: Mapping[str, StoredFile]) -> list[str]:
    """The files that the target lacks or has unfinished; refuses one with files of its own."""
    with into.snapshot() as snapshot:
        there = snapshot.files()
    there = {name: file for name, file in there.items() if file.digest or name not in files}
    if strange := next((name for name, file in there.items() if files.get(name) != file), None):
        raise InputError(
            f"The store {into.name} holds other files, such as {strange}; name a new store, or remove it first."
        )
    return [name for name in files if name not in there]


def _compared(name: str, snapshot: AnySnapshot, copy_name: str, copy: AnySnapshot) -> str:
    whole = hashlib.sha256()
    files = snapshot.files()
    if copy.files() != files or len(copy) != len(snapshot):
        raise InputError(f"The copy {copy_name} has not the files of {name}; remove it, and copy again.")
    for source in sorted(files):
        digest = _digest(snapshot, source)
        if _digest(copy, source) != digest:
            raise InputError(f"The copy {copy_name} of {name} differs in {source}; remove it, and copy again.")
        whole.update(f"{source}\0".encode("utf-8", "replace") + digest)
    return whole.hexdigest()


def _digest(snapshot: AnySnapshot, source: str) -> bytes:
    """Of a file's passages and vectors, in their order."""
    found = hashlib.sha256()
    ids = snapshot.ids(source)
    for start in range(0, len(ids), PASSAGES_AT_ONCE):
        part = ids[start : start + PASSAGES_AT_ONCE]
        for document in snapshot.documents(part):
            found.update(json.dumps([document.text, document.title, document.section, document.place]).encode())
        found.update(snapshot.vectors(part).astype("<f4").tobytes())
    return found.digest()
