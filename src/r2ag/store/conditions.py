"""What an expression of `--where` says: a tree, which each kind of store turns into its engine's own filter."""

from __future__ import annotations

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


def to_sql(condition: Condition, of_leaf: Callable[[Leaf], Sql]) -> Sql:
    """The tree in SQL; its leaves are never NULL."""
    match condition:
        case Not(part):
            inner = to_sql(part, of_leaf)
            return Sql(f"(NOT {inner.sql})", inner.parameters)
        case Joined(word, parts):
            read = [to_sql(part, of_leaf) for part in parts]
            sql = f" {word.upper()} ".join(part.sql for part in read)
            return Sql(f"({sql})", tuple(value for part in read for value in part.parameters))
    return of_leaf(condition)


def fields_of(condition: Condition) -> frozenset[str]:
    """Names of what it speaks of."""
    match condition:
        case Not(part):
            return fields_of(part)
        case Joined(_, parts):
            return frozenset[str]().union(*map(fields_of, parts))
        case Modified():
            return frozenset({"modified"})
    return frozenset({condition.field})


def modified_sql(condition: Modified, column: str, placeholder: str) -> Sql:
    """An interval of times in SQL."""
    sides = ((f"{column} >= {placeholder}", condition.first), (f"{column} < {placeholder}", condition.end))
    given = [(sql, value) for sql, value in sides if value is not None]
    return Sql(f"({' AND '.join(sql for sql, _ in given)})", tuple(value for _, value in given))


@lru_cache(maxsize=64)
def _matcher(pattern: str) -> re.Pattern[str]:
    """Each part after a % is looked for once, the first time it fits, as in SQLite: no time that grows with a power."""
    first, *others = [
        "".join("." if sign == "_" else re.escape(sign) for sign in part)
        for part in pattern.translate(_SMALL).split("%")
    ]
    if not others:
        return re.compile(first, re.DOTALL)
    *middle, last = others
    return re.compile(first + "".join(f"(?>.*?{part})" for part in middle) + f".*{last}", re.DOTALL)
