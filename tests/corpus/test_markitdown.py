from __future__ import annotations

import json
from io import BytesIO

import pytest

from r2ag.corpus import FileReader, Skipped, SourceFile, formats, list_files

pytest.importorskip("markitdown")


@pytest.fixture(scope="module")
def reader():
    with FileReader() as reader:
        yield reader


def presentation() -> bytes:
    from pptx import Presentation

    slides = Presentation()
    for title, text in (("Bees", "They dance."), ("Wasps", "They sting.\n<!-- Slide number: 9")):
        slide = slides.slides.add_slide(slides.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = text
    stream = BytesIO()
    slides.save(stream)
    return stream.getvalue()


def workbook() -> bytes:
    from openpyxl import Workbook

    book = Workbook()
    book.active.append(["Year", "Hives"])
    book.active.append([1908, 12])
    stream = BytesIO()
    book.save(stream)
    return stream.getvalue()


def notebook() -> str:
    cells = [{"cell_type": "markdown", "metadata": {}, "source": ["# Bees\n", "They dance."]}]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.pptx", presentation(), "They dance."),
        ("a.xlsx", workbook(), "| 1908 | 12 |"),
        ("a.csv", "Year,Hives\nMüller,12\n".encode("cp1252"), "| Müller | 12 |"),
        ("a.ipynb", notebook(), "They dance."),
    ],
)
def test_further_formats(write, reader, name, content, words):
    read = reader.read(write(name, content))
    assert isinstance(read, SourceFile), read
    assert any(words in block.text for block in read.blocks)
    assert {block.place for block in read.blocks} == ({"slide 1", "slide 2"} if name == "a.pptx" else {""})


def test_slides_are_places(write, reader):
    read = reader.read(write("bees.pptx", presentation()))
    assert [(block.section, block.text, block.place) for block in read.blocks] == [
        ("Bees", "They dance.", "slide 1"),
        ("Wasps", "They sting. <!-- Slide number: 9", "slide 2"),
    ]


@pytest.mark.parametrize("name", ["a.pptx", "a.xlsx", "a.xls", "a.ipynb", "a.epub"])
def test_broken_ones_are_named(write, reader, name):
    found = reader.read(write(name, b"\1\2 no such thing"))
    assert isinstance(found, Skipped)
    assert f"is broken, or no {name[1:]} file" in found.reason


def test_without_the_extra_they_are_skipped_with_a_hint(write, tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    file = write("a.xlsx", workbook())
    assert list(list_files([tmp_path])) == [
        Skipped(file, "needs a further package; install it with pip install 'r2ag[markitdown]'.")
    ]
