"""Which files there are below the paths that people name."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
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


def _matches(pattern: Path) -> set[Path]:
    """As glob's, but `**` enters neither links, so that circles end, nor hidden folders; glob.iglob enters links and
    Path.glob looks through all that is hidden."""
    start = Path(pattern.anchor)
    found: Iterable[Path] = [start]
    for part in pattern.relative_to(start).parts:
        found = _folders(found) if part == "**" else _children(found, part)
    return set(found)


def _folders(tops: Iterable[Path]) -> Iterator[Path]:
    """These and all below them."""
    for top in tops:
        for folder, names, _ in os.walk(top):
            names[:] = [name for name in names if not name.startswith(".")]
            yield Path(folder)


def _children(folders: Iterable[Path], pattern: str) -> Iterator[Path]:
    for folder in folders:
        for name in glob.iglob(pattern, root_dir=folder):  # noqa: PTH207 - Path.glob finds hidden names
            yield folder / name


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
