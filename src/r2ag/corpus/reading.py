"""Files to passages in memory: the short way, for few files."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from glob import has_magic
from pathlib import Path

from r2ag.corpus.blocks import Skipped, SourceFile
from r2ag.corpus.chunking import TokenCounter, chunk
from r2ag.corpus.files import read_files
from r2ag.corpus.formats import IN_WORDS
from r2ag.errors import InputError
from r2ag.types import Document


def read_documents(paths: Sequence[Path], count_tokens: TokenCounter, max_tokens: int) -> list[Document]:
    """Passages of all files that can be read; see `read_sources` and `chunk`."""
    return [document for file in read_sources(paths) for document in chunk(file, count_tokens, max_tokens)]


def read_sources(paths: Sequence[Path], on_skip: Callable[[Skipped], None] | None = None) -> list[SourceFile]:
    """All files that can be read; those that can't are handed to `on_skip`.

    Raises:
        InputError: a path is not there, or nothing can be read; says why.
    """
    for path in paths:
        if not (os.path.lexists(path) or has_magic(str(path))):
            raise InputError(f"There is no file or folder {path}; check --docs.")
    files, skipped = list[SourceFile](), list[Skipped]()
    for found in read_files(paths):
        if isinstance(found, SourceFile):
            files.append(found)
        else:
            skipped.append(found)
    if not files:
        raise InputError(_nothing(paths, skipped))
    if on_skip is not None:
        for each in skipped:
            on_skip(each)
    return files


def _nothing(paths: Sequence[Path], skipped: Sequence[Skipped]) -> str:
    if not skipped:
        return f"The folder {paths[0]} holds no document; {IN_WORDS} are read."
    others = len(skipped) - 1
    rest = "" if not others else f" (Nor can {others} more file{'s' * (others > 1)} be read.)"
    return f"{skipped[0].path} {skipped[0].reason}{rest}"
