"""Word files to blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING

import docx

from r2ag.corpus.archives import check_unpacked_size
from r2ag.corpus.blocks import Contents, Outline

if TYPE_CHECKING:
    from lxml.etree import _Element

_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_TEXT = (f"{_WORD}t", "{http://schemas.openxmlformats.org/officeDocument/2006/math}t")  # words, and formulas
_MARKS = {f"{_WORD}tab": "\t", f"{_WORD}br": "\n", f"{_WORD}cr": "\n", f"{_WORD}noBreakHyphen": "-"}
_CELLS = (f"{_WORD}tc", f"{_WORD}sdt")  # a content control may hold a cell
# Properties, and the copy of a text box that is for old versions of Word.
_UNSEEN = (f"{_WORD}pPr", f"{_WORD}rPr", "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback")


def parse_docx(content: bytes) -> Contents:
    """Paragraphs under their headings, with those in content controls and text boxes; a row of a table is a line.

    Raises:
        UnreadableError: it would unpack to too much.
    """
    check_unpacked_size(content)
    document = docx.Document(BytesIO(content))
    names = {style.style_id: (style.name or "").lower() for style in document.styles}
    outline = Outline()
    title = document.core_properties.title
    for element in _paragraphs_and_rows(document.element.body):
        style = names.get(_style_id(element), "")
        text = _text(element)
        if style == "title" and not title:
            title = text
        elif heading := re.fullmatch(r"heading (\d)", style):
            outline.heading(int(heading.group(1)), text)
        else:
            outline.text(f"- {text}" if style.startswith("list") and text.strip() else text)
    return outline.contents(title)


def _paragraphs_and_rows(element: _Element) -> Iterator[_Element]:
    for child in element:
        if child.tag in (f"{_WORD}p", f"{_WORD}tr"):
            yield child
        elif child.tag not in _UNSEEN:
            yield from _paragraphs_and_rows(child)


def _style_id(element: _Element) -> str:
    style = element.find(f"{_WORD}pPr/{_WORD}pStyle")
    return "" if style is None else style.get(f"{_WORD}val", "")


def _text(element: _Element) -> str:
    if element.tag == f"{_WORD}tr":
        cells = (" ".join("".join(_pieces(cell)).split()) for cell in element.iterchildren(*_CELLS))
        return " | ".join(cell for cell in cells if cell)
    return "".join(_pieces(element))


def _pieces(element: _Element) -> Iterator[str]:
    for child in element:
        if child.tag in _TEXT:
            yield child.text or ""
        elif child.tag in _MARKS:
            yield _MARKS[child.tag]
        elif child.tag == f"{_WORD}p":  # in a cell or a text box
            yield from ("\n", *_pieces(child), "\n")
        elif child.tag not in _UNSEEN:
            yield from _pieces(child)
