"""Files that --docs names, held in memory while a command runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING

from r2ag.cli.output import note
from r2ag.cli.skipped import tell_skipped
from r2ag.errors import InputError

if TYPE_CHECKING:
    from r2ag.pipeline import Pipeline


def read_into_memory(docs: Sequence[Path], more: Sequence[Path]) -> Callable[[Pipeline], None]:
    """Reads the files at once, since what is wrong with them should be said before the models load; what it returns
    hands them to a pipeline.

    Args:
        more: what follows the first value of --docs.

    Raises:
        InputError: a path is not there, or nothing can be read.
    """
    from r2ag.corpus import Skipped, chunk, read_sources

    for path in more:
        is_pattern = has_magic(str(path).rstrip("?"))  # the last word of a question has such a mark, too
        if not (os.path.lexists(path) or is_pattern):
            raise InputError(f"There is no file or folder {path}; if it is part of the question, put that in quotes.")
    skipped = list[Skipped]()
    files = read_sources([*docs, *more], skipped.append)
    tell_skipped(skipped, [(file.source, file.unread) for file in files if file.unread])

    def fill(pipeline: Pipeline) -> None:
        encoder = pipeline.encoder
        documents = [
            document for file in files for document in chunk(file, encoder.count_tokens, encoder.passage_tokens)
        ]
        note(f"Encoding {len(documents)} passages …")
        pipeline.add(documents)

    return fill
