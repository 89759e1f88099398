"""What a file is once it has been read: blocks of text, each with its section and its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from r2ag.corpus.lines import Lines

SECTION_SEPARATOR = " > "
MAX_HEADING_CHARACTERS = 200


@dataclass(frozen=True)
class Block:
    """A paragraph, a list item, a table row or a piece of code.

    `section` is the path of headings above it ("Filters > Paper"), `place` where it stands in the file, for people
    ("page 3", "lines 10-24"; empty where the format knows no such thing). `lines` are the first and the last line of
    text files, from 1.
    """

    text: str
    section: str
    place: str
    lines: Lines | None = None


@dataclass(frozen=True)
class Contents:
    """What a parser finds in a file; the title is empty where the file has none of its own.

    `unread` names the places whose text could not be read although the rest could.
    """

    title: str
    blocks: tuple[Block, ...]
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class SourceFile:
    """A file that has been read.

    `source` is the path as an answer shows it, always valid text. `digest` is the SHA-256 of the bytes in hexadecimal,
    `modified` their time in seconds since 1970, `size` their number. `unread` names the places that could not be read.
    """

    path: Path
    source: str
    digest: str
    modified: float
    size: int
    title: str
    blocks: tuple[Block, ...]
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class Skipped:
    """A file that was not read; the reason continues its path: "is encrypted; …"."""

    path: Path
    reason: str


class UnreadableError(Exception):
    """Why a file can't be read; the message continues its path: "is encrypted; …"."""


class Outline:
    """Collects a file's blocks under its headings.

    A heading is the section of the text below it. One with nothing below, or too long for a heading, is text itself.
    """

    def __init__(self) -> None:
        self._blocks = list[Block]()
        self._path = list[tuple[int, Block]]()
        self._top = list[str]()
        self._bare = False

    def heading(self, level: int, text: str, place: str = "", lines: Lines | None = None) -> None:
        """Opens a section; level 1 is the highest."""
        text = " ".join(text.split())
        if len(text) > MAX_HEADING_CHARACTERS:
            self.text(text, place, lines)
            return
        if not text:
            return
        if self._bare and self._path[-1][0] >= level:
            self._heading_as_text()
        while self._path and self._path[-1][0] >= level:
            self._path.pop()
        self._path.append((level, Block(text, self._section, place, lines)))
        self._bare = True
        if level == 1:
            self._top.append(text)

    def text(self, text: str, place: str = "", lines: Lines | None = None) -> None:
        """Adds a block to the section that is open."""
        if text.strip():
            self._blocks.append(Block(text.strip("\n").rstrip(), self._section, place, lines))
            self._bare = False

    def contents(self, title: str = "", unread: Sequence[str] = ()) -> Contents:
        """All of it; where the format gives no title, the only heading of level 1 is one."""
        if self._bare:
            self._heading_as_text()
        if not title and len(self._top) == 1:
            title = self._top[0]
        return Contents(" ".join(title.split())[:MAX_HEADING_CHARACTERS], tuple(self._blocks), tuple(unread))

    @property
    def _section(self) -> str:
        return SECTION_SEPARATOR.join(heading.text for _, heading in self._path)

    def _heading_as_text(self) -> None:
        self._blocks.append(self._path[-1][1])
        self._bare = False
