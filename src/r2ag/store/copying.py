"""A store's contents into another store of whatever kind, as they are: nothing is encoded again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from r2ag.errors import InputError
from r2ag.store.base import AnySnapshot, AnyStore, StoredFile
from r2ag.store.locations import create_store
from r2ag.types import Progress

PASSAGES_AT_ONCE = 512


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
    into = create_store(target, source.encoder)
    with source.snapshot() as snapshot:
        files = snapshot.files()
        passages = {name: snapshot.ids(name) for name in files}
        with into.writing() as writer:
            missing = _missing(into, files)
            done, total = 0, sum(len(passages[name]) for name in missing)
            for batch in _batches(missing, passages):
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
    """The files that the target lacks; refuses one with files of its own."""
    with into.snapshot() as snapshot:
        there = snapshot.files()
    if strange := next((name for name, file in there.items() if files.get(name) != file), None):
        raise InputError(
            f"The store {into.name} holds other files, such as {strange}; name a new store, or remove it first."
        )
    return [name for name in files if name not in there]


def _batches(names: Sequence[str], passages: Mapping[str, Sequence[int]]) -> list[list[str]]:
    """Files in the order in which they were stored, some passages at a time."""
    batches, count = list[list[str]](), 0
    for name in sorted(names, key=lambda name: passages[name][0] if passages[name] else 0):
        if not batches or count >= PASSAGES_AT_ONCE:
            batches.append([])
            count = 0
        batches[-1].append(name)
        count += len(passages[name])
    return batches


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
