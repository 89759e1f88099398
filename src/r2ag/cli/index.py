"""`r2ag index`: files into a store."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from r2ag.cli.options import AdapterName, EmbeddingsUrl, EncoderName, Retriever
from r2ag.cli.output import libraries_to_stderr, note, print_facts
from r2ag.cli.skipped import tell_skipped
from r2ag.errors import InputError

if TYPE_CHECKING:
    from r2ag.encoder.encoder import TextEncoder
    from r2ag.store.conditions import Value


def index(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH…", help="Files, folders of them, or patterns.", show_default=False)
    ],
    store: Annotated[
        str,
        typer.Option(
            "--store",
            metavar="STORE",
            help="A folder, or postgresql://HOST/DATABASE, or qdrant+http://HOST:6333/COLLECTION.",
            show_default=False,
        ),
    ],
    meta: Annotated[
        list[str] | None,
        typer.Option(
            "--meta", metavar="KEY=VALUE", help="Metadata of these files, for --where; repeatable.", show_default="none"
        ),
    ] = None,
    adapter: AdapterName = None,
    retriever: Retriever = None,
    encoder: EncoderName = None,
    embeddings_url: EmbeddingsUrl = None,
    devices: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,…",
            help="Encode on all of these at once, as in cuda:0,cuda:1 or cpu,cpu,cpu,cpu.",
            show_default="one, the GPU if there is one",
        ),
    ] = None,
) -> None:
    """Bring a store up to date with files and folders.

    Only new and changed files are read; what is gone from a folder goes from the store. Interrupt it whenever you
    like: the same command takes it up where it was.
    """
    from r2ag.store import create_store, index_files

    fields = parse_fields(meta or [])
    for path in paths:
        if not (os.path.lexists(path) or has_magic(str(path))):
            hint = "; metadata follows --meta, which may be repeated" if "=" in path.name else "; check its name"
            raise InputError(f"There is no file or folder {path}{hint}.")
    with libraries_to_stderr() as stdout:
        from r2ag.cli.progress import IndexProgress

        opened = open_encoder(adapter, retriever, encoder, embeddings_url)
        with _on(devices, opened) as several:
            into = create_store(store, several)
            with IndexProgress() as progress:
                report = index_files(into, paths, several, fields, progress)
        tell_skipped(report.skipped, report.unread)
        print_facts(
            [
                ("store", into.name),
                ("files", f"{report.added} added, {report.changed} changed, {report.unchanged} unchanged"),
                ("removed", f"{report.removed} that are gone or can't be read"),
                ("encoded", f"{report.passages} passages"),
            ],
            stdout,
        )


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


def open_encoder(
    adapter: str | None, retriever: str | None, encoder: str | None, embeddings_url: str | None
) -> TextEncoder:
    """The encoder that the options name: a server's, one of its own, else the adapter's.

    Raises:
        InputError: the options don't go together, or it can't be had.
    """
    if embeddings_url is not None:
        if encoder is None:
            raise InputError("--embeddings-url needs --encoder with the name of the server's model.")
        from r2ag.retrieval.api import EmbeddingsAPI

        return EmbeddingsAPI(embeddings_url, encoder)
    note("Loading the encoder …")
    if encoder is not None:
        from r2ag.encoder.encoder import FeatureEncoder

        return FeatureEncoder.from_pretrained(encoder)
    from r2ag.adapter.adapter import Adapter
    from r2ag.adapter.loading import PRETRAINED, load_encoder

    return load_encoder(Adapter.from_pretrained(adapter or PRETRAINED), retriever)


def parse_fields(pairs: Sequence[str]) -> dict[str, Value]:
    """KEY=VALUE pairs; numbers become numbers.

    Raises:
        InputError: one of them is no such pair, or can't be a field's name.
    """
    from r2ag.store.where import as_value
    from r2ag.store.writer import check_fields

    fields: dict[str, Value] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"--meta is {pair!r}; give a name and a value as in team=bridges.")
        fields[key] = as_value(value)
    check_fields(fields)
    return fields
