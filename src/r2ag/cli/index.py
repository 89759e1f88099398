"""`r2ag index`: files into a store."""

from __future__ import annotations

import os
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
        from r2ag.cli.progress import ProgressBar

        opened = open_encoder(encoder, embeddings_url) or _adapters_encoder(adapter, retriever)
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


def _adapters_encoder(adapter: str | None, retriever: str | None) -> TextEncoder:
    note("Loading the encoder …")
    from r2ag.adapter.adapter import Adapter
    from r2ag.adapter.loading import PRETRAINED, load_encoder

    return load_encoder(Adapter.from_pretrained(adapter or PRETRAINED), retriever)


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
