"""Entries of published files: JSON lines, or one JSON array that may be larger than memory would like."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from r2ag.errors import InputError
from r2ag.records.files import MAX_LINE_BYTES, json_lines, opened
from r2ag.records.formats.row import Row

CHUNK_BYTES = 1 << 16  # small beside an entry that is long, large beside most
_SPACE = " \t\r\n"


def read_rows(file: Path) -> Iterator[Row]:
    """The entries of a file, one after another; .gz is unpacked.

    Raises:
        InputError: the file can't be read, or an entry is no JSON object; names the file and the line or the entry.
    """
    entries = _array(file) if _holds_an_array(file) else json_lines(file)
    for where, fields in entries:
        if not isinstance(fields, dict):
            raise InputError(f"{where}: not a JSON object; each entry must be one.")
        yield Row(fields, where)


def _holds_an_array(file: Path) -> bool:
    with opened(file) as stream:
        return stream.read(4096).removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"[")


def _array(file: Path) -> Iterator[tuple[str, Any]]:
    """Reads piece by piece and keeps no more than one entry and the rest of a piece."""
    decoder = json.JSONDecoder()
    with opened(file) as stream:
        pieces = _pieces(stream, file)
        held = next(pieces, "").lstrip(_SPACE)[1:].lstrip(_SPACE)
        number = 0
        while not held.startswith("]"):
            number += 1
            where = f"{file}, entry {number}"
            while True:
                try:
                    value, end = decoder.raw_decode(held)
                    rest = held[end:].lstrip(_SPACE)
                    if rest:
                        break
                except json.JSONDecodeError:
                    pass
                except (ValueError, RecursionError):
                    raise InputError(f"{where}: not valid JSON.") from None
                piece = next(pieces, None)
                if piece is None or len(held) > MAX_LINE_BYTES:
                    raise InputError(f"{where}: not valid JSON, cut off, or longer than {MAX_LINE_BYTES:,} characters.")
                held += piece
            if rest[0] not in ",]":
                raise InputError(f"{where}: not valid JSON; a comma or the end of the list must follow it.")
            yield where, value
            held = rest[1:].lstrip(_SPACE) if rest[0] == "," else rest
            if not held:
                held = next(pieces, "").lstrip(_SPACE)


def _pieces(stream: IO[bytes], file: Path) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    try:
        while chunk := stream.read(CHUNK_BYTES):
            yield decoder.decode(chunk)
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise InputError(f"{file}: not UTF-8 text; data sets are JSON in UTF-8.") from None
