"""Further formats to blocks, by way of markitdown and Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from zipfile import is_zipfile

from markitdown import DocumentConverter, StreamInfo, converters

from r2ag.corpus.archives import check_unpacked_size
from r2ag.corpus.blocks import Block, Contents
from r2ag.corpus.decoding import decode
from r2ag.corpus.text import parse_markdown

_CONVERTERS: dict[str, type[DocumentConverter]] = {
    ".csv": converters.CsvConverter,
    ".epub": converters.EpubConverter,
    ".ipynb": converters.IpynbConverter,
    ".pptx": converters.PptxConverter,
    ".xls": converters.XlsConverter,
    ".xlsx": converters.XlsxConverter,
}
_SLIDE = re.compile(r"^<!-- Slide number: (\d+) -->$", re.MULTILINE)


def parse_with_markitdown(content: bytes, suffix: str) -> Contents:
    """What markitdown's converter for this suffix makes of it.

    The converter is called itself, so that no plugin, no URL and no guess at another format comes into play.

    Raises:
        UnreadableError: it would unpack to too much, or is no text.
    """
    if suffix == ".csv":
        content = decode(content).encode()
    elif is_zipfile(BytesIO(content)):
        check_unpacked_size(content)
    converter = _CONVERTERS[suffix]()
    converted = converter.convert(BytesIO(content), StreamInfo(extension=suffix, charset="utf-8"))
    contents = parse_markdown(converted.markdown)
    blocks = tuple(_blocks(converted.markdown, suffix))
    return replace(contents, title=converted.title or contents.title, blocks=blocks)


def _blocks(markdown: str, suffix: str) -> Iterator[Block]:
    """Without lines, which are those of the Markdown that nobody has; those of a presentation have a slide."""
    parts = ["", markdown]
    if suffix == ".pptx":
        before, *parts = _SLIDE.split(markdown)
        parts = ["", before, *parts]
    for number, text in zip(parts[::2], parts[1::2], strict=True):
        for block in parse_markdown(text).blocks:
            yield replace(block, place=f"slide {number}" if number else "", lines=None)
