"""Which files are read, by the ends of their names."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

MARKDOWN = frozenset({".md", ".markdown"})
TEXT = frozenset({".txt", ".text"})
HTML = frozenset({".html", ".htm", ".xhtml"})
MARKITDOWN = frozenset({".csv", ".epub", ".ipynb", ".pptx", ".xls", ".xlsx"})
# Formats whose parsers are complex enough to be kept in a process of their own.
UNTRUSTED = HTML | MARKITDOWN | {".pdf", ".docx"}
IN_WORDS = "text, Markdown, HTML, PDF and Word (.docx) files"


def suffix_of(path: Path) -> str:
    """In lower case, with its dot; empty where there is none."""
    return path.suffix.lower()


def why_not_read(path: Path) -> str | None:
    """Why a file found in a folder is passed over, in words that continue its path; None where it is to be read."""
    suffix = suffix_of(path)
    if suffix in MARKITDOWN and find_spec("markitdown") is None:
        return "needs a further package; install it with pip install 'r2ag[markitdown]'."
    if suffix in MARKDOWN | TEXT | UNTRUSTED:
        return None
    return f"is not one of the {IN_WORDS} that are read."
