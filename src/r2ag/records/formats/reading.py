"""Entries of published files: JSON lines, or one JSON array that may be larger than memory would like."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import IO, Any

from r2ag.errors import InputError
from r2ag.records.files import MAX_LINE_BYTES, json_lines, opened
from r2ag.records.formats.row import Row

CHUNK_BYTES = 1 << 16  # small beside an entry that is long, large beside most


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
    with opened(file) as stream:
        held = _Held(_pieces(stream, file))
        held.next_mark(f"{file}, entry 1", "[")
        for number in count(1):
            where = f"{file}, entry {number}"
            if held.at_end(where):
                return
            yield where, held.next_value(where)
            if held.next_mark(where, ",]") == "]":
                return


class _Held:
    """The text that was read and is not yet taken, and where more comes from."""

    def __init__(self, pieces: Iterator[str]) -> None:
        self._pieces = pieces
        self._text = ""
        self._decoder = json.JSONDecoder()

    def at_end(self, where: str) -> bool:
        """Whether the list ends here."""
        return self._see(where) == "]"

    def next_mark(self, where: str, allowed: str) -> str:
        """Takes what must come before, between or behind entries."""
        mark = self._see(where)
        if mark not in allowed:
            raise InputError(f"{where}: not valid JSON; a comma or the end of the list must follow it.")
        self._text = self._text[1:]
        return mark

    def next_value(self, where: str) -> Any:
        """Takes an entry, reading on until it is whole."""
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text)
            except json.JSONDecodeError:
                self._read_on(where)
            except (ValueError, RecursionError):
                raise InputError(f"{where}: not valid JSON.") from None
            else:
                if end < len(self._text):  # a number that ends with the piece may go on in the next
                    self._text = self._text[end:]
                    return value
                self._read_on(where)

    def _see(self, where: str) -> str:
        while not (text := self._text.lstrip(" \t\r\n")):
            self._read_on(where)
        self._text = text
        return text[0]

    def _read_on(self, where: str) -> None:
        if (piece := next(self._pieces, None)) is None:
            raise InputError(f"{where}: not valid JSON, or cut off.")
        if len(self._text) > MAX_LINE_BYTES:
            raise InputError(f"{where}: not valid JSON, or longer than {MAX_LINE_BYTES:,} characters.")
        self._text += piece


def _pieces(stream: IO[bytes], file: Path) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    try:
        while chunk := stream.read(CHUNK_BYTES):
            yield decoder.decode(chunk)
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise InputError(f"{file}: not UTF-8 text; data sets are JSON in UTF-8.") from None
