"""One entry of a published file, whose fields are asked for by name and checked when they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from r2ag.errors import InputError
from r2ag.types import Record


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
