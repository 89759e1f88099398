"""Entries of published data sets: from JSON lines, JSON arrays larger than memory, or the Hugging Face hub."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import IO, Any

from r2ag.errors import InputError
from r2ag.records.files import MAX_LINE_BYTES, json_lines, opened
from r2ag.types import Record

CHUNK_BYTES = 1 << 16  # small beside an entry that is long, large beside most
MAX_PASSAGES = 1_000_000
_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_FILE = re.compile(r".*\.(jsonl?|gz|tsv|csv|txt|parquet|zip)", re.IGNORECASE)


@dataclass(frozen=True)
class Row:
    """Fields as the file gives them, and words for where they stand ("nq.jsonl, line 3")."""

    fields: Mapping[str, Any]
    where: str

    def has(self, *names: str) -> bool:
        """Whether all these fields are there."""
        return all(name in self.fields for name in names)

    def text(self, name: str) -> str:
        """A field that must hold words."""
        value = self.fields.get(name)
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(name, "must be a string with words in it; a test file with hidden answers can't be used")
        return value

    def optional_text(self, name: str) -> str:
        """A string; empty where the field is missing or null."""
        value = self.fields.get(name)
        if value is not None and not isinstance(value, str):
            raise self.wrong(name, "must be a string")
        return value or ""

    def texts(self, name: str) -> tuple[str, ...]:
        """The strings of a list, without empty ones; none where the field is missing or null."""
        values = self.items(name)
        if not all(isinstance(value, str) for value in values):
            raise self.wrong(name, "must be a list of strings")
        return tuple(value for value in values if value.strip())

    def items(self, name: str) -> list[Any]:
        """A list; empty where the field is missing or null."""
        values = self.fields.get(name)
        if values is not None and not isinstance(values, list):
            raise self.wrong(name, "must be a list")
        return values or []

    def rows(self, name: str) -> list[Row]:
        """The objects of a list, each of which knows where it stands."""
        values = self.items(name)
        if not all(isinstance(value, dict) for value in values):
            raise self.wrong(name, "must be a list of objects")
        return [Row(value, f"{self.where}, {name} {number}") for number, value in enumerate(values, 1)]

    def inner(self, name: str) -> Row:
        """An object; one without fields where the field is missing or null."""
        value = self.fields.get(name) or {}
        if not isinstance(value, dict):
            raise self.wrong(name, "must be an object")
        return Row(value, f"{self.where}, {name}")

    def flag(self, name: str) -> bool:
        """true or false."""
        value = self.fields.get(name)
        if not isinstance(value, bool):
            raise self.wrong(name, "must be true or false")
        return value

    def wrong(self, name: str, wanted: str) -> InputError:
        """What to raise about a field."""
        return InputError(f'{self.where}: "{name}" {wanted}.')


@dataclass(frozen=True)
class Format:
    """A form in which a data set is published, one entry a record.

    Attributes:
        name: as --format takes it.
        fits: whether an entry looks like this form.
        record: an entry as a record; without answers or without documents where the entry has none. Takes the seed
            that decides the order of documents whose own order would tell which one is relevant.
    """

    name: str
    fits: Callable[[Row], bool]
    record: Callable[[Row, int], Record]


def holding(*names: str, **lists: str) -> Callable[[Row], bool]:
    """Whether an entry has these fields and, in the first object of each of these lists, a field of that name."""

    def fits(row: Row) -> bool:
        return row.has(*names) and all(inner in _first(row.fields.get(name)) for name, inner in lists.items())

    return fits


def _first(values: Any) -> Mapping[str, Any]:
    return values[0] if isinstance(values, list) and values and isinstance(values[0], dict) else {}


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


def read_passages(file: Path) -> Iterator[Row]:
    """The lines of a corpus, no more than memory is likely to hold."""
    for number, row in enumerate(read_rows(file), 1):
        if number > MAX_PASSAGES:
            raise InputError(f"{file} holds more than {MAX_PASSAGES:,} passages; give a part of it.")
        yield row


def _holds_an_array(file: Path) -> bool:
    with opened(file) as stream:
        return stream.read(4096).removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"[")


def _array(file: Path) -> Iterator[tuple[str, Any]]:
    """Reads piece by piece and keeps no more than one entry and the rest of a piece."""
    with opened(file) as stream:
        pieces, text, where, mark = _pieces(stream, file), "", f"{file}, entry 1", "["
        for number in count(1):
            text = _stripped(text, pieces, where)
            if text[0] not in mark:
                raise InputError(f"{where}: not valid JSON; a comma or the end of the list must follow it.")
            if text[0] == "]":
                return
            where, mark = f"{file}, entry {number}", ",]"
            text = _stripped(text[1:], pieces, where)
            if text[0] == "]":
                return
            value, text = _value(text, pieces, where)
            yield where, value


def _stripped(text: str, pieces: Iterator[str], where: str) -> str:
    """The text from its first mark on."""
    while not (stripped := text.lstrip(" \t\r\n")):
        text = _longer(text, pieces, where)
    return stripped


def _value(text: str, pieces: Iterator[str], where: str) -> tuple[Any, str]:
    """The entry that the text begins with, and the rest of the text; reads on until the entry is whole."""
    while True:
        try:
            value, end = json.JSONDecoder().raw_decode(text)
        except json.JSONDecodeError:
            value, end = None, len(text)
        except (ValueError, RecursionError):
            raise InputError(f"{where}: not valid JSON.") from None
        if end < len(text):  # a number that ends with the piece may go on in the next
            return value, text[end:]
        text = _longer(text, pieces, where)


def _longer(text: str, pieces: Iterator[str], where: str) -> str:
    if (piece := next(pieces, None)) is None:
        raise InputError(f"{where}: not valid JSON, or cut off.")
    if len(text) > MAX_LINE_BYTES:
        raise InputError(f"{where}: not valid JSON, or longer than {MAX_LINE_BYTES:,} characters.")
    return text + piece


def _pieces(stream: IO[bytes], file: Path) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    try:
        while chunk := stream.read(CHUNK_BYTES):
            yield decoder.decode(chunk)
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise InputError(f"{file}: not UTF-8 text; data sets are JSON in UTF-8.") from None


def is_hub_name(name: str) -> bool:
    """Whether this reads like owner/name and not like a file."""
    return _NAME.fullmatch(name) is not None and _FILE.fullmatch(name) is None


def hub_rows(name: str, subset: str | None = None, split: str = "train") -> Iterator[Row]:
    """The rows of one split.

    Raises:
        InputError: the library is missing, the hub can't be reached, or it has no such data set, subset or split.
    """
    if find_spec("datasets") is None:
        raise InputError(
            f"There is no file or folder {name}; to read a data set of that name from the Hugging Face hub, install "
            "datasets with: pip install 'r2ag[train]'"
        )
    from datasets import load_dataset

    try:
        rows = load_dataset(name, subset, split=split)
    except Exception as error:  # the library has many kinds, and those of its HTTP client besides
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
        raise InputError(
            f"There is no file or folder {name}, and the Hugging Face hub gave no data set of that name ({reason}); "
            "check the name, --subset, --split and the network."
        ) from None
    for number, fields in enumerate(rows, 1):
        yield Row(fields, f"{name}, row {number} of {split}")
