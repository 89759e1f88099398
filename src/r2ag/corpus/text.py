"""Text and Markdown files to documents, split at paragraphs into passages that an encoder reads whole."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from r2ag.errors import InputError
from r2ag.types import Document

SUFFIXES = (".txt", ".md", ".markdown")
MAX_FILE_BYTES = 50_000_000
PASSAGE_WORDS = 120

# Chinese and Japanese have no spaces: there each character counts as a word, and a sentence ends at its full stop.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\s\u3040-\u30ff\u3400-\u9fff]+")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])\s*(?=\S)")


def read_documents(paths: Sequence[Path]) -> list[Document]:
    """Passages of the files, and of all text and Markdown files in the folders, in the order of their names.

    Raises:
        InputError: a path is missing, empty or no text, or a folder holds no such file; names it.
    """
    documents = [document for path in paths for file in _files(path) for document in _passages(file)]
    if not documents:
        raise InputError(
            f"{', '.join(map(str, paths))}: no text in it; give text or Markdown files with words in them."
        )
    return documents


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"There is no file or folder {path}; check --docs.")
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    if not found:
        raise InputError(f"The folder {path} holds no document; text (.txt) and Markdown (.md) files are read.")
    return found


def _passages(file: Path) -> Iterator[Document]:
    for title, text in _sections(_read(file), file.suffix.lower() != ".txt"):
        for passage in _split(text):
            yield Document(text=passage, title=title or file.stem, source=str(file))


def _read(file: Path) -> str:
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise InputError(f"{file} is larger than {MAX_FILE_BYTES // 1_000_000} MB; split it.")
        content = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file} can't be read ({error.strerror}).") from None
    if b"\0" in content[:4096]:
        raise InputError(f"{file} is not a text file; give text (.txt) or Markdown (.md) files.")
    return content.decode("utf-8-sig", "replace")


def _sections(text: str, markdown: bool) -> Iterator[tuple[str, str]]:
    """(heading, text) pairs; the heading is empty where there is none."""
    heading, lines = "", list[str]()
    for line in text.splitlines():
        match = re.match(r"#{1,6}\s+(.+?)\s*#*$", line) if markdown else None
        if match:
            yield heading, "\n".join(lines)
            heading, lines = match.group(1), []
        else:
            lines.append(line)
    yield heading, "\n".join(lines)


def _split(text: str) -> Iterator[str]:
    """Passages of at most PASSAGE_WORDS words: whole paragraphs where they fit, else whole sentences."""
    pieces = (piece for paragraph in re.split(r"\n\s*\n", text) for piece in _sentences(paragraph))
    current, count = list[str](), 0
    for piece in pieces:
        words = len(_WORD.findall(piece))
        if current and count + words > PASSAGE_WORDS:
            yield " ".join(current)
            current, count = [], 0
        current.append(piece)
        count += words
    if current:
        yield " ".join(current)


def _sentences(paragraph: str) -> Iterable[str]:
    flat = " ".join(paragraph.split())
    if len(_WORD.findall(flat)) <= PASSAGE_WORDS:
        return [flat] if flat else []
    return [chunk for sentence in _SENTENCE_END.split(flat) for chunk in _chunks(sentence)]


def _chunks(sentence: str) -> list[str]:
    words = list(_WORD.finditer(sentence))
    pieces = [words[start : start + PASSAGE_WORDS] for start in range(0, len(words), PASSAGE_WORDS)]
    return [sentence[piece[0].start() : piece[-1].end()] for piece in pieces]
