"""The language of `--where`, which documents a search may find, and the metadata that it can name.

    team = 'bridges' and modified >= 2024-01-01 and not (section like '%index%' or year in (2019, 2020))

Fields are `source`, `title`, `section`, `modified`, and the names that documents were given when they were indexed. A
comparison with a field that a document lacks is false, so that its opposite is true. No word of an expression becomes
a part of any SQL: names are looked up, values are parameters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from r2ag.errors import InputError
from r2ag.store.base import StoredFile
from r2ag.store.conditions import COLUMNS, Compared, Condition, Joined, Leaf, Like, Modified, Not, Value
from r2ag.types import Document

MAX_CHARACTERS = 2000
MAX_DEPTH = 15  # as deep as SQLite's own parser follows
MAX_CHOICES = 200  # SQLite reads a thousand nested operators, no more
MAX_WILDCARDS = 5  # the time that LIKE takes may grow with a power of their number
MAX_FIELDS = 64
MAX_FIELD_CHARACTERS = 1000
_FIELD_NAME = re.compile(r"[^\W\d][\w.-]{0,63}")
_RESERVED = {"and", "or", "not", "in", "like", *COLUMNS}

_Node = Callable[[], "Condition"]
_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>'(?:[^']|'')*'|"(?:[^"]|"")*")|(?P<mark>!=|<=|>=|[=<>(),])|(?P<word>[^\s'"=<>!(),]+))"""
)
_SIGNS = ("=", "!=", "<", "<=", ">", ">=")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def read_where(expression: str) -> Condition:
    """Reads an expression.

    Raises:
        InputError: it is none; says at which word.
    """
    if len(expression) > MAX_CHARACTERS:
        raise InputError(f"--where has {len(expression):,} characters; at most {MAX_CHARACTERS:,} are read.")
    return _Parser(expression).parse()


def as_value(text: str) -> Value:
    """A number where that keeps every character ("2024", "3.5"), else the text ("007", "1.10")."""
    for number in (int, float):
        try:
            value: int | float = number(text)
        except ValueError:
            continue
        if str(value) == text and text.lstrip("-")[0].isdecimal() and -(2**63) <= value < 2**63:
            return value
    return text


@dataclass(frozen=True)
class _Token:
    kind: str  # "word", "quoted", "mark", or "end"
    text: str


class _Parser:
    """Recursive descent: `or` binds less than `and`, and `and` less than `not`."""

    def __init__(self, expression: str) -> None:
        self._tokens = _tokens(expression)
        self._at = 0
        self._depth = 0

    def parse(self) -> Condition:
        condition = self._either()
        if self._token.kind != "end":
            self._refuse("'and', 'or' or the end")
        return condition

    @property
    def _token(self) -> _Token:
        return self._tokens[self._at]

    def _next(self) -> _Token:
        token = self._token
        self._at += 1
        return token

    def _accept(self, text: str) -> bool:
        """Steps over a sign or a keyword, if it is the next."""
        found = self._token.kind in ("mark", "word") and self._token.text.lower() == text
        self._at += found
        return found

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            self._refuse(f"'{text}'")

    def _refuse(self, expected: str) -> NoReturn:
        found = repr(self._token.text) if self._token.kind != "end" else "its end"
        raise InputError(
            f"--where has {found} where {expected} should stand; "
            "write as in: team = 'bridges' and modified >= 2024-01-01"
        )

    def _either(self) -> Condition:
        return self._joined("or", self._both)

    def _both(self) -> Condition:
        return self._joined("and", self._negated)

    def _joined(self, word: str, part: _Node) -> Condition:
        parts = [part()]
        while self._accept(word):
            parts.append(part())
        return parts[0] if len(parts) == 1 else Joined(word, tuple(parts))

    def _negated(self) -> Condition:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise InputError(f"--where is nested more than {MAX_DEPTH} deep; simplify it.")
        if self._accept("not"):
            condition: Condition = Not(self._negated())
        elif self._accept("("):
            condition = self._either()
            self._expect(")")
        else:
            condition = self._comparison()
        self._depth -= 1
        return condition

    def _comparison(self) -> Condition:
        if self._token.kind != "word" or not _FIELD_NAME.fullmatch(self._token.text):
            self._refuse("the name of a field")
        field = self._next().text
        negated = self._accept("not")
        if self._accept("in"):
            condition: Condition = self._any_of(field)
        elif self._accept("like"):
            condition = self._like(field)
        elif negated:
            self._refuse("'in' or 'like'")
        else:
            condition = self._compared(field)
        return Not(condition) if negated else condition

    def _compared(self, field: str) -> Condition:
        sign = self._token.text
        if self._token.kind != "mark" or sign not in _SIGNS:
            self._refuse(f"one of {' '.join(_SIGNS)} like in")
        self._next()
        literal = self._literal()
        return Not(_compare(field, "=", literal)) if sign == "!=" else _compare(field, sign, literal)

    def _any_of(self, field: str) -> Condition:
        self._expect("(")
        options = [_compare(field, "=", self._literal())]
        while self._accept(","):
            options.append(_compare(field, "=", self._literal()))
        self._expect(")")
        if len(options) > MAX_CHOICES:
            raise InputError(f"--where has a list of {len(options)} values; at most {MAX_CHOICES} are read.")
        return Joined("or", tuple(options))

    def _like(self, field: str) -> Condition:
        pattern = self._literal().text
        if field == "modified":
            raise InputError("--where compares modified with dates, which 'like' can't; use = < <= > >=.")
        if pattern.count("%") > MAX_WILDCARDS:
            raise InputError(f"--where has a pattern with more than {MAX_WILDCARDS} signs %; use fewer.")
        return Like(field, pattern)

    def _literal(self) -> _Token:
        if self._token.kind not in ("word", "quoted"):
            self._refuse("a value")
        return self._next()


def _tokens(expression: str) -> list[_Token]:
    tokens, at, text = list[_Token](), 0, expression.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise InputError(f"--where can't be read from {text[at:].strip()[:20]!r} on; is a quotation mark missing?")
        kind, found = match.lastgroup or "", match.group(match.lastgroup or 0)
        if kind == "quoted":
            found = found[1:-1].replace(found[0] * 2, found[0])
        tokens.append(_Token(kind, storable(found)))
        at = match.end()
    return [*tokens, _Token("end", "")]


def _compare(field: str, sign: str, literal: _Token) -> Leaf:
    """`sign` is one of = < <= > >=."""
    if field == "modified":
        return _compare_time(sign, literal.text)
    value = as_value(literal.text) if literal.kind == "word" else literal.text
    return Compared(field, sign, literal.text if field in COLUMNS else value)


def _compare_time(sign: str, text: str) -> Modified:
    """A date stands for the whole day, a time for the whole second; both are UTC where they name no offset."""
    try:
        start = datetime.fromisoformat(text)
        start = start if start.tzinfo else start.replace(tzinfo=UTC)
        end = (start + (timedelta(days=1) if _DATE.fullmatch(text) else timedelta(seconds=1))).timestamp()
        first = start.timestamp()
    except (ValueError, OverflowError):
        raise InputError(f"--where compares modified with {text!r}; write a date as in 2024-01-31.") from None
    return {
        "=": Modified(first, end),
        "<": Modified(None, first),
        "<=": Modified(None, end),
        ">": Modified(end, None),
        ">=": Modified(first, None),
    }[sign]


def storable(text: str) -> str:
    """Half characters (as in file names that are no UTF-8) become escapes, since UTF-8 can't hold them."""
    return text.encode("utf-8", "backslashreplace").decode()


def storable_texts(document: Document) -> list[str]:
    """A passage's text, title, section and place."""
    return [storable(text) for text in (document.text, document.title, document.section, document.place)]


def storable_fields(file: StoredFile) -> dict[str, Value]:
    """A file's own metadata, checked."""
    check_fields(file.fields)
    return {name: storable(value) if isinstance(value, str) else value for name, value in file.fields.items()}


def check_fields(fields: Mapping[str, Value]) -> None:
    """Refuses metadata that a search could not name.

    Raises:
        InputError: says which.
    """
    if len(fields) > MAX_FIELDS:
        raise InputError(f"There are {len(fields)} metadata fields; a file takes at most {MAX_FIELDS}.")
    for name, value in fields.items():
        if not _FIELD_NAME.fullmatch(name) or name.lower() in _RESERVED:
            raise InputError(
                f"A metadata field can't be named {name[:80]!r}; begin with a letter, use letters, digits, _ . and -, "
                f"and none of {', '.join(sorted(_RESERVED))}."
            )
        if len(str(value)) > MAX_FIELD_CHARACTERS:
            raise InputError(f"The metadata field {name} is longer than {MAX_FIELD_CHARACTERS:,} characters; cut it.")
