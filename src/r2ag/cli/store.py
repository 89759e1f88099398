"""`r2ag store`: what a store holds, whether it is sound, and how to make it smaller."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from r2ag.cli.output import print_facts

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The store's folder.", show_default=False)]


def info(folder: Folder) -> None:
    """Show what a store holds and which encoder made its vectors."""
    from r2ag.store import Store

    found = Store.open(folder).info()
    fields = ", ".join(f"{name} ({_files(count)})" for name, count in found.fields.items())
    print_facts(
        [
            ("store", found.folder),
            ("files", found.files),
            ("passages", found.documents),
            ("encoder", f"{found.encoder}, {found.dimension} numbers a vector"),
            ("metadata", fields or "none of its own"),
            ("size", f"{found.bytes_on_disk / 1e6:.1f} MB on disk"),
            ("format", f"version {found.format_version}, generation {found.generation}"),
        ],
        sys.stdout,
    )


def check(folder: Folder) -> None:
    """Read all of a store and say whether it is sound."""
    from r2ag.store import Store

    store = Store.open(folder)
    store.check()
    found = store.info()
    print(f"Sound: {_files(found.files)}, {found.documents} passages.")


def compact(folder: Folder) -> None:
    """Give the room that removed files took back to the disk."""
    from r2ag.store import Store

    store = Store.open(folder)
    before = store.info().bytes_on_disk
    store.compact()
    print(f"{before / 1e6:.1f} MB before, {store.info().bytes_on_disk / 1e6:.1f} MB now.")


def remove(
    folder: Folder,
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH…", help="Files, or folders of them; they may be gone.", show_default=False),
    ],
) -> None:
    """Take files out of a store; the files themselves stay as they are."""
    from r2ag.store import Store, remove_files

    print(f"{_files(remove_files(Store.open(folder), paths))} removed.")


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"
