"""Files to blocks of text; what can't be read is named and skipped."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

from r2ag.corpus.blocks import Contents, Skipped, SourceFile, UnreadableError
from r2ag.corpus.decoding import decode
from r2ag.corpus.formats import MARKDOWN, UNTRUSTED, suffix_of
from r2ag.corpus.listing import list_files
from r2ag.corpus.process import ParserProcess

MAX_FILE_BYTES = 100_000_000


def read_files(paths: Iterable[Path]) -> Iterator[SourceFile | Skipped]:
    """Reads the files that `list_files` lists, one at a time."""
    with FileReader() as reader:
        for found in list_files(paths):
            yield found if isinstance(found, Skipped) else reader.read(found)


def read_file(path: Path) -> SourceFile | Skipped:
    """Reads one file; a FileReader reads many more quickly."""
    with FileReader() as reader:
        return reader.read(path)


class FileReader:
    """Reads files by the ends of their names, as plain text where that says nothing; keeps one parser process."""

    def __init__(self) -> None:
        self._parser = ParserProcess()

    def __enter__(self) -> FileReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read(self, path: Path) -> SourceFile | Skipped:
        """The file as blocks, or why it can't be read; never waits for a pipe or a device."""
        try:
            content, modified = _load(path)
            contents = self._parse(content, suffix_of(path))
        except OSError as error:
            return Skipped(path, f"can't be read ({error.strerror}).")
        except UnreadableError as error:
            return Skipped(path, str(error))
        if not contents.blocks:
            return Skipped(path, "has no text in it.")
        return SourceFile(
            path=path,
            source=_shown(path),
            digest=hashlib.sha256(content).hexdigest(),
            modified=modified,
            size=len(content),
            title=contents.title or _shown(Path(path.stem)),
            blocks=contents.blocks,
            unread=contents.unread,
        )

    def stop(self) -> None:
        """Another thread that reads a file need not read it to its end."""
        self._parser.stop()

    def close(self) -> None:
        """Ends the parser process; reading on starts another."""
        self._parser.close()

    def _parse(self, content: bytes, suffix: str) -> Contents:
        if suffix in UNTRUSTED:
            return self._parser.parse(content, suffix)
        from r2ag.corpus.text import parse_markdown, parse_text

        return parse_markdown(decode(content)) if suffix in MARKDOWN else parse_text(decode(content))


def _load(path: Path) -> tuple[bytes, float]:
    """A file's bytes, and when they were written."""
    _check_kind(path.stat().st_mode)
    # A pipe that took the file's place since would otherwise be waited for.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        before = os.fstat(file.fileno())
        _check_kind(before.st_mode)
        if before.st_size > MAX_FILE_BYTES:
            raise UnreadableError(f"is larger than {MAX_FILE_BYTES // 1_000_000} MB; split it.")
        content = file.read(MAX_FILE_BYTES + 1)
        after = os.fstat(file.fileno())
    if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, len(content)):
        raise UnreadableError("was changed while it was being read; try again.")
    return content, before.st_mtime


def _check_kind(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise UnreadableError("is a folder." if stat.S_ISDIR(mode) else "is a pipe, a socket or a device, not a file.")


def _shown(path: Path) -> str:
    """A path as valid text, whatever bytes are in it."""
    return os.fsencode(path).decode("utf-8", "replace")
