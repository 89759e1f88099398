"""What the documentation shows: its fenced blocks, and the command lines in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "CONTRIBUTING.md", *(f"docs/{file.name}" for file in sorted((ROOT / "docs").glob("*.md"))))


@dataclass(frozen=True)
class Block:
    """A block of code; one that is indented and not fenced has no language."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Command:
    """A line of a shell, without the variables before it."""

    block: Block
    variables: tuple[str, ...]
    words: tuple[str, ...]
    text: str

    @property
    def program(self) -> str:
        return self.words[0]

    def __str__(self) -> str:
        return f"{self.block}: {self.text}"


def source(page: str) -> str:
    """A page as it stands in its file."""
    return (ROOT / page).read_text(encoding="utf-8")


def whole(page: str) -> str:
    """A page as it is read on the site: with the parts of other files that it includes."""

    def included(found: re.Match[str]) -> str:
        name, _, part = found[1].partition(":")
        text = source(name)
        if not part:
            return text
        start, end = (f"<!-- --8<-- [{edge}:{part}] -->\n" for edge in ("start", "end"))
        assert text.count(start) == text.count(end) == 1, f"{page}: {name} has no one part {part}"
        return text.partition(start)[2].partition(end)[0]

    return re.sub(r'^--8<-- "([^"]+)"$', included, source(page), flags=re.MULTILINE)


def blocks(page: str, text: str | None = None) -> list[Block]:
    """The blocks of a page, or of another text of it."""
    tokens = MarkdownIt().parse(source(page) if text is None else text)
    return [
        Block(page, (token.map or [0])[0] + 1, token.info.split(" ")[0], token.content)
        for token in tokens
        if token.type in ("fence", "code_block")
    ]


def commands(shown: Sequence[Block]) -> list[Command]:
    """The command lines of shell blocks."""
    return [command for block in shown if block.language == "sh" for command in _commands(block)]


def _commands(block: Block) -> Iterator[Command]:
    pending = ""
    for line in block.text.splitlines():
        if line.endswith("\\"):
            pending += line[:-1]
            continue
        pending += line
        try:
            words = shlex.split(pending, comments=True)
        except ValueError:  # a quotation goes on in the next line
            pending += "\n"
            continue
        count = next((i for i, word in enumerate(words) if not re.match(r"[A-Z_0-9]+=", word)), len(words))
        if words:
            yield Command(block, tuple(words[:count]), tuple(words[count:]), pending)
        pending = ""
    assert not pending, f"{block}: a command has no end"
