"""HTML to blocks."""

from __future__ import annotations

import re

from lxml import etree
from lxml.html import defs

from r2ag.corpus.blocks import Contents, Outline

_UNSEEN = frozenset({"head", "script", "style", "noscript", "template", "svg", "iframe"})
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_NEWER_INLINE = {"bdi", "data", "label", "mark", "rp", "rt", "ruby", "time", "wbr"}
# Elements within a line of text; every other one begins and ends a block.
_INLINE = defs.special_inline_tags | defs.phrase_tags | defs.font_style_tags | _NEWER_INLINE | {"td", "th"}
_CELL_END = "\t"  # no other tab is left in text outside <pre>

_WHITE = re.compile(r"\s{2,}|[^\S ]")  # all but single spaces, which are most of it and stay as they are
_SPACES = re.compile(r" {2,}")
_AROUND_BREAK = re.compile(r" ?\n ?")
_CHARSET = re.compile(rb"(?:charset|encoding)\s*=\s*[\"']?([\w:-]{2,40})", re.IGNORECASE)
_HEAD_BYTES = 4096


def declared_encoding(content: bytes) -> str:
    """The encoding that the file says it has; empty where it says none."""
    found = _CHARSET.search(content[:_HEAD_BYTES])
    return found.group(1).decode("ascii") if found else ""


def parse_html(text: str) -> Contents:
    """Headings and paragraphs; a row of a table is a line with its cells between |; no scripts and no styles."""
    parser = etree.HTMLParser(encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True, no_network=True)
    root = etree.fromstring(text.encode("utf-8", "replace"), parser)
    return _Walk().through(root)


class _Walk:
    """Goes through the elements once and gathers the text between the boundaries of blocks."""

    def __init__(self) -> None:
        self._outline = Outline()
        self._parts = list[str]()
        self._bullet = ""
        self._preformatted = 0

    def through(self, root: etree._Element) -> Contents:
        """All blocks below the root."""
        walk = etree.iterwalk(root, events=("start", "end"))
        for event, element in walk:
            if event == "end":
                self._end(element)
            elif element.tag in _UNSEEN:
                walk.skip_subtree()
            else:
                self._start(element)
        self._flush()
        return self._outline.contents(root.findtext("head/title") or "")

    def _start(self, element: etree._Element) -> None:
        tag = element.tag
        if tag == "br":
            self._parts.append("\n")
        elif tag not in _INLINE:
            self._flush()
        self._preformatted += tag == "pre"
        if tag == "li":
            self._bullet = "- "
        self._add(element.text)

    def _end(self, element: etree._Element) -> None:
        tag = element.tag
        if tag in _HEADINGS:
            self._outline.heading(_HEADINGS[tag], "".join(self._parts))
            self._parts.clear()
        elif tag in ("td", "th"):
            self._parts.append(_CELL_END)
        elif tag not in _INLINE and tag != "br" and tag not in _UNSEEN:
            self._flush()
        self._preformatted -= tag == "pre"
        self._add(element.tail)

    def _add(self, text: str | None) -> None:
        if text:
            self._parts.append(text if self._preformatted else _WHITE.sub(" ", text))

    def _flush(self) -> None:
        text = "".join(self._parts)
        self._parts.clear()
        if not self._preformatted:
            cells = (_AROUND_BREAK.sub("\n", _SPACES.sub(" ", cell)).strip() for cell in text.split(_CELL_END))
            text = " | ".join(filter(None, cells))
        if text.strip():
            self._outline.text(self._bullet + text)
            self._bullet = ""
