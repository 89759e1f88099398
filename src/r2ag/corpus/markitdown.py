"""Further formats to blocks, by way of markitdown and Markdown."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from zipfile import is_zipfile

from markitdown import DocumentConverter, StreamInfo, converters

from r2ag.corpus.archives import check_unpacked_size
from r2ag.corpus.blocks import Contents
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
    # The lines are those of the Markdown, which nobody has.
    blocks = tuple(replace(block, place="", lines=None) for block in contents.blocks)
    return replace(contents, title=converted.title or contents.title, blocks=blocks)
