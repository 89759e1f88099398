"""What could not be read, on stderr."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from r2ag.cli.output import note

if TYPE_CHECKING:
    from r2ag.corpus import Skipped, SourceFile

TOLD = 5


def tell_skipped(skipped: Sequence[Skipped], files: Sequence[SourceFile] = ()) -> None:
    """Names the files that were left out, and the pages of `files` that were; after a few only how many more."""
    missing = [f"Skipped {each.path}: it {each.reason}" for each in skipped]
    missing += [f"{file.source}: {', '.join(file.unread)} can't be read." for file in files if file.unread]
    for sentence in missing[:TOLD]:
        note(sentence)
    if len(missing) > TOLD:
        note(f"So it is with {len(missing) - TOLD} more.")
