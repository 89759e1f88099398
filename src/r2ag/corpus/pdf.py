"""PDF files to blocks."""

from __future__ import annotations

import re
from io import BytesIO

from pypdf import PasswordType, PdfReader

from r2ag.corpus.blocks import Contents, Outline, UnreadableError
from r2ag.corpus.lines import paragraphs, split_lines

_HYPHENATED = re.compile(r"(?<=[^\W\d_])[-\u00ad]\n(?=[^\W\d_A-Z])")
_NO_TITLE = re.compile(r"\.\w{2,5}$|^untitled|^\(anonymous\)$|^microsoft word", re.IGNORECASE)


def parse_pdf(content: bytes) -> Contents:
    """The text of each page, words hyphenated at the end of a line made whole; pages that are pictures are unread.

    Raises:
        UnreadableError: it needs a password, or there is no text on its pages.
    """
    reader = PdfReader(BytesIO(content))
    if reader.is_encrypted and reader.decrypt("") == PasswordType.NOT_DECRYPTED:
        raise UnreadableError("is encrypted; save it without a password.")
    outline = Outline()
    unread = list[str]()
    for number, page in enumerate(reader.pages, start=1):
        place = f"page {number}"
        try:
            text = page.extract_text()
            is_scan = not text.strip() and bool(page.images.keys())
        except MemoryError:
            raise
        except Exception:  # pypdf raises whatever a broken page makes it raise; the other pages may be whole
            unread.append(place)
            continue
        if is_scan:
            unread.append(place)
        for paragraph, _ in paragraphs(split_lines(_HYPHENATED.sub("", text))):
            outline.text(paragraph, place)
    contents = outline.contents(_title(reader), unread)
    if not contents.blocks:
        pages = "page" if len(reader.pages) == 1 else f"{len(reader.pages)} pages"
        raise UnreadableError(f"has no text on its {pages}; if it is a scan, let a program recognise the text (OCR).")
    return contents


def _title(reader: PdfReader) -> str:
    """The title in the file's properties; programs that ask for none put a file's name there."""
    title = str((reader.metadata.title if reader.metadata else None) or "").strip()
    return "" if _NO_TITLE.search(title) else title
