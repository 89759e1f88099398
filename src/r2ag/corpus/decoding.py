"""Bytes to text, whatever wrote them."""

from __future__ import annotations

import codecs

from r2ag.corpus.blocks import UnreadableError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Guessing among these alone keeps short texts from being taken for something exotic.
_OTHER_ALPHABETS = [
    "cp1251",
    "koi8_r",
    "cp1253",
    "cp1255",
    "cp1256",
    "cp932",
    "euc_jp",
    "gb18030",
    "big5",
    "cp949",
]
_SAMPLE_BYTES = 65_536
# Latin letters are mostly ASCII; text in another alphabet hardly is.
_LEAST_OTHER_ALPHABET = 0.3
_SNIFFED_BYTES = 4096


def decode(content: bytes, declared: str = "") -> str:
    """Text of a byte order mark's encoding, of UTF-8, of the one that the file declares, or of the likeliest other one.

    UTF-8 with some broken bytes is still UTF-8; each becomes a replacement character.

    Raises:
        UnreadableError: the bytes are no text.
    """
    return _decode(content, declared).replace("\0", "\ufffd")


def _decode(content: bytes, declared: str) -> str:
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, "replace")
    if b"\0" in content[:_SNIFFED_BYTES]:
        raise UnreadableError("is not a text file; give text, Markdown, HTML, PDF or Word (.docx) files.")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        pass
    text = content.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    if sum(character > "\x7f" for character in text) > 2 * broken:
        return text
    return content.decode(_known(declared) or _guess(content[:_SAMPLE_BYTES]), "replace")


def _known(name: str) -> str:
    """A declared encoding as Python names it; empty where it is none, or one that changes bytes into no text."""
    try:
        info = codecs.lookup(name) if name.isascii() and name.isprintable() else None
    except LookupError:
        return ""
    return info.name if info is not None and info._is_text_encoding else ""


def _guess(sample: bytes) -> str:
    if sum(byte > 0x7F for byte in sample) < _LEAST_OTHER_ALPHABET * len(sample.translate(None, b" \t\r\n")):
        return "cp1252"
    from charset_normalizer import from_bytes

    best = from_bytes(sample, cp_isolation=_OTHER_ALPHABETS).best()
    return best.encoding if best is not None else "cp1252"
