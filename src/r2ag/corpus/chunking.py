"""Blocks to passages that an encoder reads whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import cast

from r2ag.corpus.blocks import SECTION_SEPARATOR, Block, SourceFile
from r2ag.corpus.lines import place_of
from r2ag.types import Document

TokenCounter = Callable[[str], int]

LEAST_TOKENS = 32
# Tokenizers may count a long run of letters as one unknown token; no text has this many characters in one.
CHARACTERS_PER_TOKEN = 8
# semchunk counts the same text again for each kind of boundary: it gets no more than this at once.
WINDOW_CHARACTERS = 20_000
_WINDOW = re.compile(rf".{{1,{WINDOW_CHARACTERS}}}(?!\S)|.{{1,{WINDOW_CHARACTERS}}}", re.DOTALL)
_CJK_SENTENCE = re.compile(r"[^。！？]*[。！？]*[」』”’）]*")


@dataclass(frozen=True)
class _Piece:
    """A part of a block that fits into a passage: its text from `start` to `end`."""

    block: Block
    start: int
    end: int
    tokens: int


def chunk(file: SourceFile, count_tokens: TokenCounter, max_tokens: int) -> list[Document]:
    """Passages of a file, each within one section and one page.

    Whole blocks where they fit, else whole sentences, clauses, words. Titles count: `Document.passage` has at most
    about `max_tokens` tokens (the sum over its parts), so that one below the encoder's limit is read whole. Every
    character of the blocks but white space is in a passage. Takes time in proportion to the text's length.

    Args:
        count_tokens: the encoder's, without special tokens.
        max_tokens: at least LEAST_TOKENS.

    Raises:
        ValueError: max_tokens is less.
    """
    if max_tokens < LEAST_TOKENS:
        raise ValueError(f"max_tokens is {max_tokens}; a passage needs {LEAST_TOKENS}.")

    def size(text: str) -> int:
        return max(count_tokens(text), len(text) // CHARACTERS_PER_TOKEN)

    documents = []
    for (section, _), blocks in groupby(file.blocks, key=_unit):
        title = _title(file.title, section, size, max_tokens // 4)
        limit = max_tokens - size(title) - 1
        pieces = (piece for block in blocks for piece in _pieces(block, size, limit))
        documents += [_document(file, title, packed) for packed in _pack(pieces, limit)]
    return documents


def _unit(block: Block) -> tuple[str, str]:
    """What a passage never reaches beyond: a section, and a page where there are pages."""
    return block.section, block.place if block.lines is None else ""


def _title(title: str, section: str, size: TokenCounter, limit: int) -> str:
    """The file's title and the headings down to the passage; the innermost alone where that is too long."""
    outer, _, inner = section.partition(SECTION_SEPARATOR)
    headings = inner if outer.casefold() in title.casefold() else section
    path = SECTION_SEPARATOR.join(filter(None, [title, headings]))
    if size(path) <= limit:
        return path
    innermost = path.rpartition(SECTION_SEPARATOR)[2]
    start, end = _split(innermost, size, limit)[0]
    return innermost[start:end]


def _pieces(block: Block, size: TokenCounter, limit: int) -> Iterator[_Piece]:
    text = block.text
    if not text.strip():
        return
    if len(text) <= WINDOW_CHARACTERS and (tokens := size(text)) <= limit:
        yield _Piece(block, 0, len(text), tokens)
        return
    for window in _WINDOW.finditer(text):
        for sentence in _CJK_SENTENCE.finditer(text, window.start(), window.end()):
            for start, end in _split(sentence.group(), size, limit):
                part = sentence.start() + start, sentence.start() + end
                yield _Piece(block, *part, size(text[slice(*part)]))


def _split(text: str, size: TokenCounter, limit: int) -> list[tuple[int, int]]:
    """Where the parts of a text begin and end that have at most `limit` tokens each."""
    from semchunk.semchunk import chunk as split

    # Its memory of counted texts would keep them for good.
    _, offsets = split(text, limit, size, memoize=False, offsets=True)
    return cast(list[tuple[int, int]], offsets)


def _pack(pieces: Iterator[_Piece], limit: int) -> Iterator[list[_Piece]]:
    """As many pieces together as fit, in their order."""
    packed, tokens = list[_Piece](), 0
    for piece in pieces:
        if packed and tokens + piece.tokens + 1 > limit:
            yield packed
            packed, tokens = [], 0
        packed.append(piece)
        tokens += piece.tokens + 1
    if packed:
        yield packed


def _document(file: SourceFile, title: str, packed: list[_Piece]) -> Document:
    first, last = packed[0].block, packed[-1].block
    return Document(
        text="\n".join(_joined(list(pieces)) for _, pieces in groupby(packed, key=lambda piece: id(piece.block))),
        title=title,
        source=file.source,
        section=first.section,
        place=place_of((first.lines[0], last.lines[1])) if first.lines and last.lines else first.place,
    )


def _joined(pieces: list[_Piece]) -> str:
    return pieces[0].block.text[pieces[0].start : pieces[-1].end]
