"""What can be stored: texts in UTF-8, and metadata that a search can name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from r2ag.errors import InputError
from r2ag.store.base import StoredFile
from r2ag.store.conditions import COLUMNS, Value
from r2ag.store.where import FIELD_NAME
from r2ag.types import Document

MAX_FIELDS = 64
MAX_FIELD_CHARACTERS = 1000
_KEYWORDS = frozenset(("and", "or", "not", "in", "like"))


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
        if not FIELD_NAME.fullmatch(name) or name.lower() in {*_KEYWORDS, *COLUMNS}:
            raise InputError(
                f"A metadata field can't be named {name[:80]!r}; begin with a letter, use letters, digits, _ . and -, "
                f"and none of {', '.join(sorted({*_KEYWORDS, *COLUMNS}))}."
            )
        if len(str(value)) > MAX_FIELD_CHARACTERS:
            raise InputError(f"The metadata field {name} is longer than {MAX_FIELD_CHARACTERS:,} characters; cut it.")


def with_fields(file: StoredFile, fields: Mapping[str, Value]) -> StoredFile:
    """A file with further metadata; what it has under the same names is replaced."""
    return replace(file, fields=file.fields | dict(fields))
