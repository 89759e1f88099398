"""Zip files, which Word files and others are."""

from __future__ import annotations

from io import BytesIO
from zipfile import ZipFile

from r2ag.corpus.blocks import UnreadableError

MAX_UNPACKED_BYTES = 500_000_000


def check_unpacked_size(content: bytes) -> None:
    """Refuses a zip file that says it unpacks to more than MAX_UNPACKED_BYTES; unpacking stops at what it says."""
    with ZipFile(BytesIO(content)) as archive:
        if sum(member.file_size for member in archive.infolist()) > MAX_UNPACKED_BYTES:
            raise UnreadableError(f"would unpack to more than {MAX_UNPACKED_BYTES // 1_000_000} MB; split it.")
