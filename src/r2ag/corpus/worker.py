"""The process that parses untrusted files, one after another: it can die without harm to the one that started it.

Request: the suffix and a line feed, the content's length (8 bytes, big-endian), the content. Reply: a length likewise,
then JSON: {"title", "blocks": [[text, section, place]], "unread"} or {"error": reason, "exhausted": bool}.
"""

from __future__ import annotations

import json
import math
import os
import resource
import sys
from typing import Any, BinaryIO

from r2ag.corpus.blocks import Contents, UnreadableError
from r2ag.corpus.decoding import decode
from r2ag.corpus.formats import HTML
from r2ag.corpus.process import LENGTH_BYTES, MAX_MEMORY_BYTES


def parse(content: bytes, suffix: str) -> Contents:
    """Parses in this process, without limits.

    Raises:
        UnreadableError: the parser says why it can't.
    """
    if suffix in HTML:
        from r2ag.corpus.html import declared_encoding, parse_html

        return parse_html(decode(content, declared_encoding(content)))
    if suffix == ".pdf":
        from r2ag.corpus.pdf import parse_pdf

        return parse_pdf(content)
    if suffix == ".docx":
        from r2ag.corpus.docx import parse_docx

        return parse_docx(content)
    from r2ag.corpus.markitdown import parse_with_markitdown

    return parse_with_markitdown(content, suffix)


def main() -> None:
    """Serves requests on stdin until it ends; the argument is the limit in seconds for one file."""
    max_seconds = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not get between the replies
    while suffix := sys.stdin.buffer.readline():
        content = sys.stdin.buffer.read(int.from_bytes(sys.stdin.buffer.read(LENGTH_BYTES)))
        _limit_seconds(max_seconds)
        _send(_reply(content, suffix.decode().strip()), replies)


def _reply(content: bytes, suffix: str) -> dict[str, Any]:
    try:
        contents = parse(content, suffix)
        blocks = [[_valid(block.text), _valid(block.section), block.place] for block in contents.blocks]
        return {"title": _valid(contents.title), "blocks": blocks, "unread": contents.unread}
    except UnreadableError as error:
        return {"error": str(error), "exhausted": False}
    except MemoryError:
        return {"error": "", "exhausted": True}
    except Exception as error:
        return {"error": f"is broken, or no {suffix} file ({type(error).__name__}).", "exhausted": False}


def _valid(text: str) -> str:
    """Text that can be written as UTF-8 and holds no NUL."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")


def _send(reply: dict[str, Any], stream: BinaryIO) -> None:
    data = json.dumps(reply).encode()
    stream.write(len(data).to_bytes(LENGTH_BYTES) + data)
    stream.flush()


def _limit_seconds(more: int) -> None:
    """Ends this process when it has used the processor for so much longer."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = math.ceil(usage.ru_utime + usage.ru_stime)
    resource.setrlimit(resource.RLIMIT_CPU, (used + more, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()
