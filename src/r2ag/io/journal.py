"""JSON lines that a run adds to as it works, so that a later run goes on where this one was stopped."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def read(file: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file, which need not exist; what is none, as half a line of a killed run, is left out."""
    if not file.is_file():
        return
    for line in file.read_bytes().split(b"\n"):
        try:
            fields = json.loads(line)
        except ValueError:
            continue
        if isinstance(fields, dict):
            yield fields


def append(file: Path, fields: Mapping[str, Any]) -> None:
    """Adds an object; a killed process loses none that was added. Makes the file's folder."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab+") as lines:
        # Half a line of a killed run must not swallow this one.
        if lines.tell():
            lines.seek(-1, 2)
            lines.write(b"" if lines.read(1) == b"\n" else b"\n")
        # What UTF-8 can't hold (half an emoji) stays an escape, as in JSON's own "\\ud83d".
        line = json.dumps(fields, ensure_ascii=False).encode("utf-8", "backslashreplace")
        lines.write(line + b"\n")
