"""Files into a store: only what is new or changed is read and encoded, and what was done is kept."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from r2ag.corpus import FileReader, Skipped, chunk, list_files
from r2ag.encoder.encoder import PASSAGE_TOKENS, TextEncoder
from r2ag.encoder.pool import EncoderPool
from r2ag.errors import InputError
from r2ag.store.base import AnyStore, AnyWriter, StoredFile
from r2ag.store.conditions import Value
from r2ag.store.where import check_fields, storable
from r2ag.types import Document, Progress

# Read before they are encoded, which goes by length: the more there are, the less has to be padded. A pool of encoders
# takes as many for each of them.
PASSAGES_AT_ONCE = 512
ENCODED_AT_ONCE = WRITTEN_AT_ONCE = 128

Passages = tuple[StoredFile, list[Document]]
Item = TypeVar("Item")


@dataclass(frozen=True)
class IndexReport:
    """What became of the files; `passages` counts those that were encoded, `unread` are the places of
    files that could not be read although the rest of the file could: (source, places)."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    passages: int = 0
    skipped: tuple[Skipped, ...] = ()
    unread: tuple[tuple[str, tuple[str, ...]], ...] = ()


def index_files(
    store: AnyStore,
    paths: Sequence[Path],
    encoder: TextEncoder,
    fields: Mapping[str, Value] | None = None,
    on_progress: Progress | None = None,
) -> IndexReport:
    """Brings a store up to date with files and folders; what is gone from a folder, or can't be read, leaves the store.

    A file is read only if its size or time of change differ, and encoded only if its bytes do. When the work is
    interrupted, even by a kill, the same call takes it up where it was.

    Args:
        fields: own metadata of all these files, besides what they have; unchanged ones get it too.
        on_progress: is told of bytes of the files that have to be read.

    Raises:
        InputError: a path is missing, the metadata or the store can't be used, or the disk is full.
    """
    check_fields(fields or {})
    store.check_encoder(encoder)
    with store.writing() as writer:
        with store.snapshot() as snapshot:
            known = snapshot.files()
        progress = on_progress or (lambda what, done, total: None)
        indexing = _Indexing(writer, encoder, known, dict(fields or {}), progress)
        return indexing.run([_absolute(path) for path in paths])


def remove_files(store: AnyStore, paths: Sequence[Path]) -> int:
    """Forgets files, and all files of folders; returns how many.

    Raises:
        InputError: the store has none under one of the paths; names it.
    """
    with store.writing() as writer:
        with store.snapshot() as snapshot:
            known = snapshot.files()
        sources = set[str]()
        for path in paths:
            found = _under(known, _absolute(path))
            if not found:
                raise InputError(f"The store {store.name} holds no file {path} and none under it; check its name.")
            sources |= found
        with writer.batch():
            for source in sorted(sources):
                writer.remove(source)
    return len(sources)


@dataclass
class _Batch:
    """What is encoded together and then written."""

    put: list[Passages] = field(default_factory=list)
    described: list[StoredFile] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    bytes_read: int = 0


@dataclass
class _Indexing:
    """One run over some files and folders."""

    writer: AnyWriter
    encoder: TextEncoder
    known: Mapping[str, StoredFile]
    fields: dict[str, Value]
    on_progress: Progress
    stopped: bool = False
    done: int = 0
    total: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    unread: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def encoders(self) -> int:
        return len(self.encoder.devices) if isinstance(self.encoder, EncoderPool) else 1

    def run(self, roots: Sequence[Path]) -> IndexReport:
        """Lists, forgets what is gone, then reads, encodes and writes what is new, some passages at a time."""
        listed = list(dict.fromkeys(list_files(roots)))
        self.skipped += [item for item in listed if isinstance(item, Skipped)]
        paths = [item for item in listed if isinstance(item, Path)]
        gone = {source for root in roots for source in _under(self.known, root)} - set(map(_source, paths))
        batch = _Batch(removed=sorted(gone))
        sizes = {path: size for path in paths if (size := self._size_to_read(path, batch)) is not None}
        self._write(batch)
        self.total = sum(sizes.values())
        if sizes:
            self.on_progress("Indexing", 0, self.total)
        self._read_all(sizes)
        return IndexReport(**self.counts, skipped=tuple(self.skipped), unread=tuple(self.unread))

    def _read_all(self, sizes: Mapping[Path, int]) -> None:
        """What comes next is read and cut into passages while this is encoded."""
        with ThreadPoolExecutor(1) as ahead, FileReader() as reader:  # one parser process for all files
            batches = self._batches(reader, sizes)
            coming = ahead.submit(next, batches, None)
            try:
                while (batch := coming.result()) is not None:
                    coming = ahead.submit(next, batches, None)
                    self._write(batch)
            finally:
                self.stopped = True
                reader.stop()

    def _batches(self, reader: FileReader, sizes: Mapping[Path, int]) -> Iterator[_Batch]:
        batch, passages = _Batch(), 0
        for path, size in sizes.items():
            if self.stopped:
                return
            passages += self._read(path, reader, batch)
            batch.bytes_read += size
            if passages >= PASSAGES_AT_ONCE * self.encoders:
                yield batch
                batch, passages = _Batch(), 0
        yield batch

    def _size_to_read(self, path: Path, batch: _Batch) -> int | None:
        """The size of a file that has to be read; None for an unchanged one, which may get further metadata."""
        known = self.known.get(_source(path))
        try:
            facts = path.stat()
        except OSError:
            return 0  # reading it will say why
        is_unfinished = known is not None and not known.digest
        if known is None or is_unfinished or (known.size, known.modified) != (facts.st_size, facts.st_mtime):
            return facts.st_size
        if (described := replace(known, fields=known.fields | self.fields)) != known:
            batch.described.append(described)
        self.counts["unchanged"] += 1
        return None

    def _read(self, path: Path, reader: FileReader, batch: _Batch) -> int:
        """How many passages of the file are to be encoded."""
        source = _source(path)
        known = self.known.get(source)
        file = reader.read(path)
        if isinstance(file, Skipped):
            self.skipped.append(file)
            batch.removed += [source] if known else []
            return 0
        if file.unread:
            self.unread.append((source, file.unread))
        fields = (known.fields if known else {}) | self.fields
        stored = StoredFile(source, file.digest, file.size, file.modified, fields)
        if known and known.digest == file.digest:
            self.counts["unchanged"] += 1
            batch.described.append(stored)
            return 0
        self.counts["changed" if known else "added"] += 1
        passages = chunk(file, self.encoder.count_tokens, min(PASSAGE_TOKENS, self.encoder.max_tokens))
        batch.put.append((stored, passages))
        return len(passages)

    def _write(self, batch: _Batch) -> None:
        if not (batch.put or batch.described or batch.removed):
            return
        vectors = self._encode(batch)
        if batch.removed or batch.described:
            with self.writer.batch():
                for source in batch.removed:
                    self.writer.remove(source)
                for file in batch.described:
                    self.writer.describe(file)
        start = 0
        # Few files go into one transaction, so that a full disk takes as many as it can.
        for together in in_batches(batch.put, lambda passages: len(passages[1]), WRITTEN_AT_ONCE):
            with self.writer.batch():
                for file, documents in together:
                    self.writer.put(file, documents, vectors[start : start + len(documents)])
                    start += len(documents)
        self.done += batch.bytes_read
        self.counts["removed"] += len(batch.removed)
        self.counts["passages"] += len(vectors)
        self.on_progress("Indexing", self.done, self.total)

    def _encode(self, batch: _Batch) -> np.ndarray:
        """The longest first, since texts of like length are padded little; progress is told in between."""
        documents = [document for _, documents in batch.put for document in documents]
        order = sorted(range(len(documents)), key=lambda index: -len(documents[index].passage))
        vectors = np.zeros((len(documents), self.encoder.dimension), np.float32)
        at_once = ENCODED_AT_ONCE * self.encoders
        for start in range(0, len(documents), at_once):
            part = order[start : start + at_once]
            vectors[part] = self.encoder.encode_documents([documents[index] for index in part])
            share = (start + len(part)) / len(documents)
            self.on_progress("Indexing", self.done + int(share * batch.bytes_read), self.total)
        return vectors


def in_batches(items: Iterable[Item], size: Callable[[Item], int], at_least: int) -> Iterator[list[Item]]:
    """The items in their order, in batches that reach this size; the last one may be smaller."""
    batch, total = list[Item](), 0
    for item in items:
        batch.append(item)
        total += size(item)
        if total >= at_least:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch


def _absolute(path: Path) -> Path:
    """Links are kept as the user named them, which resolve() would not do."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def _source(path: Path) -> str:
    return storable(str(path))


def _under(known: Mapping[str, StoredFile], root: Path) -> set[str]:
    """The sources that are `root` itself or lie below it."""
    name = _source(root)
    folder = name.rstrip(os.sep) + os.sep
    return {source for source in known if source == name or source.startswith(folder)}
