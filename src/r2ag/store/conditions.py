"""What an expression of `--where` says: a tree, which each kind of store turns into its engine's own filter."""

from __future__ import annotations

import fnmatch
import glob
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from string import ascii_lowercase, ascii_uppercase
from typing import Any

Value = str | int | float

COLUMNS = ("source", "title", "section", "modified")
"""The fields that every document has; others are its own metadata."""
SQL_COLUMNS = {"source": "files.source", "title": "chunks.title", "section": "chunks.section"}
CHUNKS = "chunks JOIN files ON files.id = chunks.file"
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_SMALL = str.maketrans(ascii_uppercase, ascii_lowercase)


@dataclass(frozen=True)
class Compared:
    """A field compared, by a sign of COMPARE, with a text, byte by byte, or with a number, which no text equals.

    A document that lacks the field does not meet it.
    """

    field: str
    sign: str
    value: Value

    def holds(self, value: Value) -> bool:
        """Whether a document with this value meets it."""
        if isinstance(self.value, str):
            return COMPARE[self.sign](str(value).encode("utf-8"), self.value.encode("utf-8"))
        return not isinstance(value, str) and COMPARE[self.sign](value, self.value)


@dataclass(frozen=True)
class Like:
    """A field that looks like a pattern: % stands for any characters, _ for one; the case of A to Z is all the same."""

    field: str
    pattern: str

    def holds(self, value: Value) -> bool:
        """Whether a document with this value meets it."""
        return _matcher(self.pattern).fullmatch(str(value).translate(_SMALL)) is not None


@dataclass(frozen=True)
class Modified:
    """A time of change in [first, end), seconds since 1970; None leaves a side open."""

    first: float | None
    end: float | None


@dataclass(frozen=True)
class Not:
    """The opposite."""

    part: Condition


@dataclass(frozen=True)
class Joined:
    """All parts ("and") or any of them ("or")."""

    word: str
    parts: tuple[Condition, ...]


Leaf = Compared | Like | Modified
Condition = Leaf | Not | Joined


@dataclass(frozen=True)
class Sql:
    """A condition in SQL, whose placeholders stand for the parameters in their order."""

    sql: str
    parameters: tuple[Value, ...]


def to_sql(condition: Condition, placeholder: str, of_field: Callable[[Compared | Like], Sql]) -> Sql:
    """The tree in SQL on `files` and `chunks`; values stand in the parameters alone.

    Args:
        of_field: a comparison in the engine's own SQL; NULL if a document lacks the field.
    """
    match condition:
        case Not(part):
            inner = to_sql(part, placeholder, of_field)
            return Sql(f"(NOT {inner.sql})", inner.parameters)
        case Joined(word, parts):
            read = [to_sql(part, placeholder, of_field) for part in parts]
            sql = f" {word.upper()} ".join(part.sql for part in read)
            return Sql(f"({sql})", tuple(value for part in read for value in part.parameters))
        case Modified(first, end):
            sides = [(sign, value) for sign, value in ((">=", first), ("<", end)) if value is not None]
            sql = " AND ".join(f"files.modified {sign} {placeholder}" for sign, _ in sides)
            return Sql(f"({sql})", tuple(value for _, value in sides))
    found = of_field(condition)
    return Sql(f"coalesce({found.sql}, false)", found.parameters)


@lru_cache(maxsize=64)
def _matcher(pattern: str) -> re.Pattern[str]:
    """As in SQLite, each part after a % is looked for once, so that no time grows with a power."""
    escaped = glob.escape(pattern.translate(_SMALL))
    return re.compile(fnmatch.translate(escaped.replace("%", "*").replace("_", "?")))
