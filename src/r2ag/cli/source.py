"""Where a command's documents come from: files that are held in memory, or a store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from r2ag.cli.memory import read_into_memory
from r2ag.cli.search import StoreSearch
from r2ag.errors import InputError

if TYPE_CHECKING:
    from r2ag.pipeline import Pipeline


def open_source(
    docs: Sequence[Path] | None, more: Sequence[Path] | None, store: str | None, search: StoreSearch
) -> Callable[[Pipeline], None]:
    """Reads the files, or opens the store, at once; what it returns hands them to a pipeline.

    Args:
        more: what follows the first value of --docs.

    Raises:
        InputError: they can't be read, or the options don't go together.
    """
    if store is not None:
        return _from_store(store, docs, more, search)
    if not docs:
        raise typer.BadParameter("Give the documents with --docs PATH… or --store DIR.")
    if search != StoreSearch():
        raise InputError("--where, --finder, --reranker, --encoder and --embeddings-url need --store DIR.")
    return read_into_memory(docs, more or [])


def _from_store(
    location: str, docs: Sequence[Path] | None, more: Sequence[Path] | None, search: StoreSearch
) -> Callable[[Pipeline], None]:
    if docs:
        raise InputError("--docs and --store can't go together; add the files to the store with r2ag index.")
    if more:
        raise InputError(f"--store takes one store and {more[0]} follows it; is it part of the question? Quote that.")
    store = search.open(location)
    return lambda pipeline: pipeline.use(search.finder_over(store, pipeline.encoder))
