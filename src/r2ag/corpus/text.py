"""Text and Markdown to blocks."""

from __future__ import annotations

import re
from collections.abc import Sequence

from r2ag.corpus.blocks import Contents, Outline
from r2ag.corpus.lines import Lines, paragraphs, place_of, split_lines

_HEADING = re.compile(r" {0,3}(#{1,6})(?=[ \t]|$)")
_UNDERLINE = re.compile(r" {0,3}(={2,}|-{2,})[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")


def parse_text(text: str) -> Contents:
    """Paragraphs of plain text."""
    outline = Outline()
    _add_paragraphs(outline, split_lines(text), 1)
    return outline.contents()


def parse_markdown(text: str) -> Contents:
    """Paragraphs of Markdown under its headings; code between fences is one block, whatever it holds."""
    outline = Outline()
    pending, first, fence = list[str](), 1, ""
    lines = split_lines(text)
    for number, line in enumerate(lines, start=1):
        if fence:
            pending.append(line)
            if _closes(line, fence):
                _add(outline, "\n".join(pending), (first, number))
                pending, first, fence = [], number + 1, ""
        elif heading := _heading(line, pending):
            level, title, taken = heading
            _add_paragraphs(outline, pending[: len(pending) - taken], first)
            at = (number - taken, number)
            outline.heading(level, title, place_of(at), at)
            pending, first = [], number + 1
        elif opening := _FENCE.match(line):
            _add_paragraphs(outline, pending, first)
            pending, first, fence = [line], number, opening.group(1)
        else:
            pending.append(line)
    if fence:
        _add(outline, "\n".join(pending), (first, len(lines)))
    else:
        _add_paragraphs(outline, pending, first)
    return outline.contents()


def _heading(line: str, pending: Sequence[str]) -> tuple[int, str, int] | None:
    """A heading's level, its text, and how many pending lines belong to it: one where it is underlined."""
    if hashes := _HEADING.match(line):
        title = line[hashes.end() :].strip()
        unclosed = title.rstrip("#")
        return len(hashes.group(1)), title if unclosed[-1:].strip() else unclosed.strip(), 0
    alone = bool(pending) and bool(pending[-1].strip()) and not (len(pending) > 1 and pending[-2].strip())
    if alone and (underline := _UNDERLINE.match(line)):
        return 1 if underline.group(1)[0] == "=" else 2, pending[-1].strip(), 1
    return None


def _closes(line: str, fence: str) -> bool:
    bare = line.strip()
    return len(bare) >= len(fence) and not bare.strip(fence[0])


def _add_paragraphs(outline: Outline, lines: Sequence[str], first: int) -> None:
    for text, at in paragraphs(lines, first):
        _add(outline, text, at)


def _add(outline: Outline, text: str, lines: Lines) -> None:
    outline.text(text, place_of(lines), lines)
