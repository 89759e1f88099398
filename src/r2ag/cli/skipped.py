"""What could not be read, on stderr."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from r2ag.cli.output import note

if TYPE_CHECKING:
    from r2ag.corpus import Skipped

TOLD = 5


def tell_skipped(skipped: Sequence[Skipped], unread: Sequence[tuple[str, Sequence[str]]] = ()) -> None:
    """Names the files that were left out, and the places of others that were (source, places); after a few only how
    many more."""
    missing = [f"Skipped {each.path}: it {each.reason}" for each in skipped]
    missing += [f"{source}: {', '.join(places)} can't be read." for source, places in unread]
    for sentence in missing[:TOLD]:
        note(sentence)
    if len(missing) > TOLD:
        note(f"So it is with {len(missing) - TOLD} more.")
