"""`r2ag index`, files into a store, and `r2ag store`: what it holds, whether it is sound, how to shrink and move it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from r2ag.cli import options
from r2ag.cli.opening import open_encoder, tell_skipped
from r2ag.cli.output import libraries_to_stderr, note, print_facts
from r2ag.errors import InputError

if TYPE_CHECKING:
    from r2ag.encoder.encoder import TextEncoder
    from r2ag.store.conditions import Value


def index(
    paths: Annotated[list[Path], Argument(metavar="PATH…", show_default=False)],
    store: Annotated[str, Option(metavar="STORE", show_default=False)],
    meta: Annotated[list[str] | None, Option(metavar="KEY=VALUE", show_default="none")] = None,
    adapter: options.Adapter = None,
    retriever: options.Retriever = None,
    encoder: options.Encoder = None,
    embeddings_url: options.EmbeddingsUrl = None,
    devices: Annotated[str | None, Option(metavar="NAME,…", show_default="one, the GPU if there is one")] = None,
) -> None:
    """Bring a store up to date with files and folders.

    Only new and changed files are read; what is gone from a folder is removed from the store. You can interrupt it at
    any time: the same command continues.

    Args:
        paths: Files, folders of them, or patterns.
        store: A folder, or postgresql://HOST/DATABASE, or qdrant+http://HOST:6333/COLLECTION.
        meta: Metadata of these files, for --where; repeatable.
        devices: Encode on all of these at once, as in cuda:0,cuda:1 or cpu,cpu,cpu,cpu.

    Examples:
        r2ag index notes/ --store my-store
        r2ag index minutes/ --store my-store --meta team=bridges --meta year=2024
        r2ag index notes/ --store qdrant+http://localhost:6333/notes
        r2ag index notes/ --store my-store --encoder nomic-embed-text --embeddings-url http://localhost:11434/v1
    """
    from r2ag.store import create_store, index_files

    fields = parse_fields(meta or [])
    for path in paths:
        if not (os.path.lexists(path) or has_magic(str(path))):
            hint = "; metadata follows --meta, which may be repeated" if "=" in path.name else "; check its name"
            raise InputError(f"There is no file or folder {path}{hint}.")
    with libraries_to_stderr() as stdout:
        from r2ag.adapter.adapter import Adapter
        from r2ag.adapter.loading import PRETRAINED, load_encoder
        from r2ag.cli.progress import ProgressBar

        opened = open_encoder(encoder, embeddings_url)
        if opened is None:
            note("Loading the encoder …")
            opened = load_encoder(Adapter.from_pretrained(adapter or PRETRAINED), retriever)
        with _on(devices, opened) as several, create_store(store, several) as into, ProgressBar() as progress:
            report = index_files(into, paths, several, fields, progress)
        tell_skipped(report.skipped, report.unread)
        print_facts(
            stdout,
            ("store", into.name),
            ("files", f"{report.added} added, {report.changed} changed, {report.unchanged} unchanged"),
            ("removed", f"{report.removed} that are gone or can't be read"),
            ("encoded", f"{report.passages} passages"),
        )


def parse_fields(pairs: Sequence[str]) -> dict[str, Value]:
    """KEY=VALUE pairs; numbers become numbers.

    Raises:
        InputError: one of them is no such pair, or can't be a field's name.
    """
    from r2ag.store.where import as_value, check_fields

    fields: dict[str, Value] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"--meta is {pair!r}; give a name and a value as in team=bridges.")
        fields[key] = as_value(value)
    check_fields(fields)
    return fields


@contextmanager
def _on(devices: str | None, encoder: TextEncoder) -> Iterator[TextEncoder]:
    """The encoder on the devices that --devices names."""
    if devices is None:
        yield encoder
        return
    from r2ag.encoder.encoder import FeatureEncoder
    from r2ag.encoder.pool import EncoderPool

    if not isinstance(encoder, FeatureEncoder):
        raise InputError("--devices are for an encoder that runs here; leave it out with --embeddings-url.")
    with EncoderPool(encoder, devices.split(",")) as pool:
        yield pool


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

    with open_store(store) as opened:
        found = opened.info()
    fields = ", ".join(f"{name} ({_files(count)})" for name, count in found.fields.items())
    print_facts(
        sys.stdout,
        ("store", found.name),
        ("files", found.files),
        ("passages", found.documents),
        ("encoder", f"{found.encoder}, {found.dimension} numbers a vector"),
        ("metadata", fields or "none of its own"),
        ("size", f"{_megabytes(found.bytes_on_disk)} on disk"),
        ("format", f"version {found.format_version}"),
    )


def check(store: StoreName) -> None:
    """Read all of a store and say whether it is sound.

    Examples:
        r2ag store check my-store
    """
    from r2ag.store import open_store

    with open_store(store) as opened:
        opened.check()
        found = opened.info()
    print(f"Sound: {_files(found.files)}, {found.documents} passages.")


def compact(store: StoreName) -> None:
    """Free the disk space that removed files took.

    Examples:
        r2ag store compact my-store
    """
    from r2ag.store import open_store

    with open_store(store) as opened:
        before = opened.bytes_on_disk()
        opened.compact()
        print(f"{_megabytes(before)} before, {_megabytes(opened.bytes_on_disk())} now.")


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

    with open_store(store) as opened:
        print(f"{_files(remove_files(opened, paths))} removed.")


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

    with open_store(store) as source, ProgressBar("passages") as progress:
        report = copy_store(source, target, progress)
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
