"""Files and folders that are written whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_whole(file: Path, content: str | bytes) -> None:
    """Writes a file whole or not at all; makes its folder."""
    with whole_file(file) as new:
        new.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def whole_file(file: Path) -> Iterator[Path]:
    """Yields a path beside `file`, whose folder is made. What is written there takes the file's place at the end.

    After an error the old file stays and the new one disappears. Readers never see half of a file.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    new = _beside(file)
    try:
        yield new
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yields an empty folder beside `folder`, which takes its place at the end; all that stood there is deleted.

    After an error the old folder stays and the new one disappears.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    new, old = _beside(folder), _beside(folder, ".old")
    shutil.rmtree(new, ignore_errors=True)  # a killed process left it: in containers the next one has the same id
    new.mkdir()
    try:
        yield new
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
            folder.rename(old)
        new.rename(folder)
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _beside(path: Path, suffix: str = "") -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}{suffix}")
