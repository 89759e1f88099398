"""Files to documents."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from r2ag.corpus.text import SUFFIXES, read_documents
from r2ag.errors import InputError
from r2ag.types import Document

__all__ = ["Block", "Skipped", "SourceFile", "chunk", "list_files", "read_documents", "read_file", "read_files"]


@dataclass(frozen=True)
class Block:
    """A piece of a file's text; `section` is the heading above it, `place` says where it stands."""

    text: str
    section: str = ""
    place: str = ""


@dataclass(frozen=True)
class SourceFile:
    """A file that was read. digest: SHA-256 of its bytes, in hex; modified: seconds since 1970; size: bytes."""

    path: Path
    source: str
    digest: str
    modified: float
    size: int
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Skipped:
    """A file that was not read."""

    path: Path
    reason: str


def list_files(paths: Sequence[Path]) -> Iterator[Path | Skipped]:
    """The files, and all text and Markdown files in the folders, in the order of their names."""
    for path in paths:
        if path.is_file():
            yield path
        elif path.is_dir():
            yield from sorted(f for f in path.rglob("*") if f.suffix.lower() in SUFFIXES and f.is_file())
        else:
            raise InputError(f"There is no file or folder {path}; check its name.")


def read_file(path: Path) -> SourceFile | Skipped:
    """A file's text, or why it can't be had."""
    try:
        content, facts = path.read_bytes(), path.stat()
    except OSError as error:
        return Skipped(path, str(error.strerror))
    if b"\0" in content[:4096]:
        return Skipped(path, "not a text file")
    digest = hashlib.sha256(content).hexdigest()
    block = Block(content.decode("utf-8-sig", "replace"))
    return SourceFile(path, str(path), digest, facts.st_mtime, facts.st_size, path.stem, (block,))


def read_files(paths: Sequence[Path]) -> Iterator[SourceFile | Skipped]:
    """Reads what list_files lists."""
    for path in list_files(paths):
        yield path if isinstance(path, Skipped) else read_file(path)


def chunk(file: SourceFile, count_tokens: Callable[[str], int], max_tokens: int) -> list[Document]:
    """A file's paragraphs as documents."""
    paragraphs = (part for block in file.blocks for part in block.text.split("\n\n"))
    texts = [text for paragraph in paragraphs for text in _fitting(paragraph.strip(), count_tokens, max_tokens)]
    return [Document(text, title=file.title, source=file.source) for text in texts]


def _fitting(text: str, count_tokens: Callable[[str], int], max_tokens: int) -> list[str]:
    if not text or count_tokens(text) <= max_tokens or " " not in text:
        return [text] if text else []
    words = text.split()
    half = len(words) // 2
    return [
        piece for part in (words[:half], words[half:]) for piece in _fitting(" ".join(part), count_tokens, max_tokens)
    ]
