"""Lines of text to paragraphs."""

from __future__ import annotations

import re
from collections.abc import Sequence

Lines = tuple[int, int]

# Items of lists, rows of tables, quotations and indented text are more than wrapped lines.
_STANDS_ALONE = re.compile(r"\s*(?:[-*+•]\s|\d{1,3}[.)]\s|[|>])|(?: {4}|\t)")
_TAKES_NO_MORE = re.compile(r"\s*[|>]|(?: {4}|\t)")
_CJK = r"[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]"
_BETWEEN_CJK = re.compile(rf"(?<={_CJK})\n(?={_CJK})")


def split_lines(text: str) -> list[str]:
    """Lines as editors count them."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def place_of(lines: Lines) -> str:
    """Lines as people name them: "line 3", "lines 10-24"."""
    first, last = lines
    return f"line {first}" if first == last else f"lines {first}-{last}"


def paragraphs(lines: Sequence[str], first: int = 1) -> list[tuple[str, Lines]]:
    """Paragraphs with the numbers of their first and last line, `first` being that of the first line given.

    Blank lines part them. Wrapped lines are joined; lines that stand alone (items of lists, rows of tables, indented
    text) stay lines of their own.
    """
    found, current = list[tuple[str, Lines]](), list[str]()
    for number, line in enumerate([*lines, ""], start=first):
        if line.strip():
            current.append(line)
        elif current:
            found.append((unwrap(current), (number - len(current), number - 1)))
            current = []
    return found


def unwrap(lines: Sequence[str]) -> str:
    """One paragraph's lines with the wrapped ones joined."""
    joined = list[list[str]]()
    for line in lines:
        alone = _STANDS_ALONE.match(line)
        words = line.rstrip() if alone else " ".join(line.split())
        if alone or not joined or _TAKES_NO_MORE.match(joined[-1][0]):
            joined.append([words])
        else:
            joined[-1].append(words)
    return "\n".join(_BETWEEN_CJK.sub("", "\n".join(parts)).replace("\n", " ") for parts in joined)
