from __future__ import annotations

import pytest
from fpdf import FPDF
from PIL import Image

from r2ag.corpus.blocks import UnreadableError
from r2ag.corpus.pdf import parse_pdf
from tests.corpus.conftest import encrypted, pdf


def test_pages_are_places_and_wrapped_lines_are_joined():
    long = "The bridge was finished in fourteen hundred and seventy-one by a mason of the town. " * 3
    contents = parse_pdf(pdf([long, "An inter-\nnational bridge of\n- stone\n- lime"], title="Old bridges"))
    assert contents.title == "Old bridges"
    assert [(block.text, block.place) for block in contents.blocks] == [
        (long.strip(), "page 1"),
        ("An international bridge of\n- stone\n- lime", "page 2"),
    ]


@pytest.mark.parametrize("title", ["", "untitled", "bridges.docx", "Microsoft Word - bridges", "(anonymous)"])
def test_a_title_that_is_none_is_not_taken(title):
    assert parse_pdf(pdf(["Text."], title)).title == ""


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-256"])
def test_only_a_password_that_readers_need_keeps_us_out(algorithm):
    content = pdf(["The bridge fell in 1890."])
    assert parse_pdf(encrypted(content, "", algorithm)).blocks[0].text == "The bridge fell in 1890."
    with pytest.raises(UnreadableError, match="is encrypted"):
        parse_pdf(encrypted(content, "secret", algorithm))


def test_pages_without_text_are_taken_for_a_scan():
    with pytest.raises(UnreadableError, match=r"has no text on its 2 pages.*OCR"):
        parse_pdf(pdf(["", ""]))


def test_a_scanned_page_among_others_is_named():
    document = FPDF()
    document.set_font("Helvetica")
    for page in ("text", "picture", "blank"):
        document.add_page()
        if page == "text":
            document.write(text="The bridge fell.")
        if page == "picture":
            document.image(Image.new("L", (8, 8)))
    contents = parse_pdf(bytes(document.output()))
    assert contents.unread == ("page 2",)
    assert [block.place for block in contents.blocks] == ["page 1"]


def test_a_broken_page_costs_only_itself():
    content = pdf(["One.", "Two.", "Three."])
    filters = b"/Filter /FlateDecode"
    second = content.index(filters, content.index(filters) + 1)
    broken = content[:second] + content[second:].replace(filters, b"/Filter /NoSuchFiltr", 1)
    contents = parse_pdf(broken)
    assert [(block.text, block.place) for block in contents.blocks] == [("One.", "page 1"), ("Three.", "page 3")]
    assert contents.unread == ("page 2",)
