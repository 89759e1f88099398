"""What commands write: text and tables that no document can garble, and JSON alone on stdout."""

from __future__ import annotations

import io
import json
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

Facts = list[tuple[str, object]]
"""Names and values, as print_facts shows them."""

# They reorder the text around them on the screen; right-to-left letters themselves need none of them.
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_BREAKS = frozenset("\n\r\t\u2028\u2029")


def clean(text: str, lines: bool = False) -> str:
    """Text without control characters, so that a terminal shows it and does not obey it.

    Characters that reorder the text around them are taken out, too; half characters become U+FFFD.

    Args:
        lines: keep line breaks; else they become spaces.
    """
    return "".join(_shown(character, lines) for character in text)


def _shown(character: str, lines: bool) -> str:
    if character in _BREAKS:
        return "\n" if lines and character == "\n" else " "
    category = unicodedata.category(character)
    if category == "Cs":
        return "\ufffd"
    return "" if category == "Cc" or character in _REORDERING else character


def survive_any_text() -> None:
    """Makes stdout and stderr write characters that their encoding lacks as escapes, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def libraries_to_stderr() -> Iterator[TextIO]:
    """Sends what libraries print to stderr; yields the real stdout."""
    stdout = sys.stdout
    with redirect_stdout(sys.stderr):
        yield stdout


def note(message: str) -> None:
    """Tells the user on stderr what the command is doing."""
    print(clean(message), file=sys.stderr, flush=True)


def print_json(value: Any, stream: TextIO) -> None:
    """Prints one object: as text if the stream is UTF-8, else in ASCII with JSON escapes."""
    unicode_output = (stream.encoding or "").lower().replace("-", "") == "utf8"
    print(json.dumps(value, ensure_ascii=not unicode_output), file=stream)


def console(stream: TextIO) -> Console:
    """A console that reads no markup in what it prints."""
    from rich.console import Console

    return Console(file=stream, markup=False, highlight=False, emoji=False)


def print_markdown(text: str, stream: TextIO) -> None:
    """Prints Markdown: laid out on a terminal, elsewhere as it is."""
    from rich.markdown import Markdown

    text = clean(text, lines=True)
    if stream.isatty():
        console(stream).print(Markdown(text, hyperlinks=False))
    else:
        print(text, file=stream)


def print_facts(stream: TextIO, *facts: tuple[str, object]) -> None:
    """Prints names and values in two columns."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in facts:
        grid.add_row(Text(name, style="bold"), Text(clean(str(value))))
    console(stream).print(grid)


def in_words(seconds: float) -> str:
    """A duration: "40 s", "12 min" or "3 h 5 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
