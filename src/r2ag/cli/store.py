"""`r2ag store`: what a store holds, whether it is sound, how to make it smaller, and how to move it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from typer import Argument

from r2ag.cli.output import print_facts

StoreName = Annotated[
    str,
    Argument(help="A folder, postgresql://HOST/DATABASE or qdrant+http://HOST:6333/COLLECTION.", show_default=False),
]


def info(store: StoreName) -> None:
    """Show what a store holds and which encoder made its vectors.

    Examples:
        r2ag store info my-store
    """
    from r2ag.store import open_store

    found = open_store(store).info()
    fields = ", ".join(f"{name} ({_files(count)})" for name, count in found.fields.items())
    print_facts(
        sys.stdout,
        ("store", found.name),
        ("files", found.files),
        ("passages", found.documents),
        ("encoder", f"{found.encoder}, {found.dimension} numbers a vector"),
        ("metadata", fields or "none of its own"),
        ("size", f"{_megabytes(found.bytes_on_disk)} on disk"),
        ("format", f"version {found.format_version}, generation {found.generation}"),
    )


def check(store: StoreName) -> None:
    """Read all of a store and say whether it is sound.

    Examples:
        r2ag store check my-store
    """
    from r2ag.store import open_store

    opened = open_store(store)
    opened.check()
    found = opened.info()
    print(f"Sound: {_files(found.files)}, {found.documents} passages.")


def compact(store: StoreName) -> None:
    """Free the disk space that removed files took.

    Examples:
        r2ag store compact my-store
    """
    from r2ag.store import open_store

    opened = open_store(store)
    before = opened.info().bytes_on_disk
    opened.compact()
    print(f"{_megabytes(before)} before, {_megabytes(opened.info().bytes_on_disk)} now.")


def remove(
    store: StoreName,
    paths: Annotated[list[Path], Argument(metavar="PATH…", show_default=False)],
) -> None:
    """Take files out of a store; the files themselves stay as they are.

    Args:
        paths: Files or folders; they may be gone from the disk.

    Examples:
        r2ag store remove my-store notes/old.md
    """
    from r2ag.store import open_store, remove_files

    print(f"{_files(remove_files(open_store(store), paths))} removed.")


def copy(
    store: StoreName,
    target: Annotated[str, Argument(metavar="TO", show_default=False)],
) -> None:
    """Copy a store into another one of any kind, as it is: nothing is encoded again.

    In the end both are read and compared. You can interrupt it at any time: the same command continues.

    Args:
        target: Another store, of any kind; made where it is new.

    Examples:
        r2ag store copy my-store postgresql://ann@db.example.org/notes
    """
    from r2ag.cli.progress import ProgressBar
    from r2ag.store import copy_store, open_store

    with ProgressBar("passages") as progress:
        report = copy_store(open_store(store), target, progress)
    print_facts(
        sys.stdout,
        ("files", f"{report.files}, of which {report.copied} were copied now"),
        ("passages", report.passages),
        ("checksum", f"{report.checksum}, of both"),
    )


def _megabytes(count: int | None) -> str:
    return "an unknown size" if count is None else f"{count / 1e6:.1f} MB"


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"
