"""Which files there are below the paths that people name."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path

from r2ag.corpus.blocks import Skipped
from r2ag.corpus.formats import why_not_read


def list_files(paths: Iterable[Path]) -> Iterator[Path | Skipped]:
    """The files that the paths name, each once; nothing is opened.

    A path is a file of any kind, a folder or a pattern (`notes/**/*.md`). Folders and patterns give the files of the
    kinds that are read, by name and depth first, without hidden ones; links to folders are not followed.
    """
    seen = set[Path]()
    for path in paths:
        for found in _named(path):
            key = (found.path if isinstance(found, Skipped) else found).absolute()
            if key not in seen:
                seen.add(key)
                yield found


def _named(path: Path) -> Iterator[Path | Skipped]:
    if _is_folder(path):
        yield from _below(_entries(path))
    elif os.path.lexists(path):
        yield path
    elif glob.has_magic(str(path)):
        matches = sorted(_matches(path))
        yield from _below(matches) if matches else [Skipped(path, "matches no file.")]
    else:
        yield Skipped(path, "is not there.")


def _matches(pattern: Path) -> Iterator[Path]:
    """Path.glob enters no links where it looks for `**`, so that circles end, which glob.iglob does. It finds hidden
    names, too: those count that the pattern spells with their dot."""
    start = Path(pattern.anchor)
    parts = [part if part == "**" else re.sub(r"\*{2,}", "*", part) for part in pattern.relative_to(start).parts]
    spelled = [part for part in parts if part.startswith(".")]
    for match in start.glob(str(Path(*parts))):
        hidden = (part for part in match.relative_to(start).parts if part.startswith("."))
        if all(any(fnmatch(part, each) for each in spelled) for part in hidden):
            yield match


def _below(top: Iterable[Path | Skipped]) -> Iterator[Path | Skipped]:
    waiting = list(top)[::-1]
    while waiting:
        path = waiting.pop()
        if isinstance(path, Skipped):
            yield path
        elif not _is_folder(path):
            reason = why_not_read(path)
            yield path if reason is None else Skipped(path, reason)
        elif path.is_symlink():
            yield Skipped(path, "is a link to a folder, which is not followed; name it to have it read.")
        else:
            waiting.extend(_entries(path)[::-1])


def _entries(folder: Path) -> list[Path | Skipped]:
    try:
        return [*sorted(path for path in folder.iterdir() if not path.name.startswith("."))]
    except OSError as error:
        return [Skipped(folder, f"can't be listed ({error.strerror}).")]


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # what keeps us from looking keeps us from reading, which says so
        return False
