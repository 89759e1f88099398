from __future__ import annotations

from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from r2ag.corpus import archives
from r2ag.corpus.blocks import UnreadableError
from r2ag.corpus.docx import parse_docx
from tests.corpus.conftest import word

WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def with_body(xml: str) -> bytes:
    """A Word file with this XML as its body."""
    stream = BytesIO()
    with ZipFile(BytesIO(word())) as template, ZipFile(stream, "w", ZIP_DEFLATED) as file:
        for member in template.infolist():
            body = f"<w:document {WORD}><w:body>{xml}</w:body></w:document>"
            file.writestr(member, body if member.filename == "word/document.xml" else template.read(member))
    return stream.getvalue()


def test_headings_paragraphs_lists_and_tables():
    content = word(
        ("Title", "Bees"),
        ("Heading 1", "Tools"),
        ("Normal", "Keepers need"),
        ("List Bullet", "a smoker"),
        ("Heading 2", "Hives"),
        rows=[["Year", "Hives"], ["1908", "12"]],
    )
    contents = parse_docx(content)
    assert contents.title == "Bees"
    assert [(block.section, block.text) for block in contents.blocks] == [
        ("Tools", "Keepers need"),
        ("Tools", "- a smoker"),
        ("Tools > Hives", "Year | Hives"),
        ("Tools > Hives", "1908 | 12"),
    ]


def test_content_controls_insertions_and_nested_tables_are_read_and_deletions_not():
    paragraph = "<w:p><w:r><w:t>{}</w:t></w:r></w:p>"
    table = "<w:tbl><w:tr><w:tc>{}</w:tc><w:tc>{}</w:tc></w:tr></w:tbl>"
    inner = table.format(paragraph.format("b"), paragraph.format("c"))
    contents = parse_docx(
        with_body(
            f"<w:sdt><w:sdtContent>{paragraph.format('in a control')}</w:sdtContent></w:sdt>"
            "<w:p><w:r><w:t>kept</w:t><w:tab/></w:r><w:ins><w:r><w:t>new</w:t></w:r></w:ins>"
            "<w:del><w:r><w:delText>old</w:delText></w:r></w:del></w:p>" + table.format(paragraph.format("a"), inner)
        )
    )
    assert [block.text for block in contents.blocks] == ["in a control", "kept\tnew", "a | b c"]


def test_formulas_are_read_as_text():
    math = "http://schemas.openxmlformats.org/officeDocument/2006/math"
    power = "<m:sSup><m:e><m:r><m:t>c</m:t></m:r></m:e></m:sSup>"
    formula = f'<m:oMath xmlns:m="{math}"><m:r><m:t>E=m</m:t></m:r>{power}</m:oMath>'
    contents = parse_docx(with_body(f"<w:p><w:r><w:t>Thus </w:t></w:r>{formula}<w:r><w:t>.</w:t></w:r></w:p>"))
    assert [block.text for block in contents.blocks] == ["Thus E=mc."]


def test_what_unpacks_to_too_much_is_refused_unopened(monkeypatch):
    monkeypatch.setattr(archives, "MAX_UNPACKED_BYTES", 100_000)
    with pytest.raises(UnreadableError, match="would unpack to more than"):
        parse_docx(with_body("<w:p/>" * 50_000))
