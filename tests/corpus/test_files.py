"""Everything a file may be but a document: named with a plain reason, and never waited for."""

from __future__ import annotations

import hashlib
import os
import socket
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from r2ag.corpus import FileReader, Skipped, SourceFile, files, read_file, read_files
from tests.corpus.conftest import encrypted, pdf, word


@pytest.fixture(scope="module")
def reader():
    with FileReader() as reader:
        yield reader


def reason(found: SourceFile | Skipped) -> str:
    assert isinstance(found, Skipped), found
    assert found.reason.endswith(".")
    return found.reason


def test_a_file_knows_its_bytes_and_its_title(write):
    file = write("old bridges.md", "# The bridge\n\nBuilt in 1471.\n")
    os.utime(file, (1000, 1471))
    read = read_file(file)
    assert isinstance(read, SourceFile)
    assert (read.path, read.source, read.title) == (file, str(file), "The bridge")
    assert (read.digest, read.size) == (hashlib.sha256(file.read_bytes()).hexdigest(), 29)
    assert read.modified == 1471
    untitled = read_file(write("old bridges.txt", "Text."))
    assert isinstance(untitled, SourceFile)
    assert untitled.title == "old bridges"


@pytest.mark.parametrize("name", ["a.md", "a.txt", "a.TXT", "notes", "a.html", "a.pdf", "a.docx"])
def test_every_format_is_read(write, reader, name):
    text = "The bridge was built in 1471."
    content: str | bytes = {"a.pdf": pdf([text]), "a.docx": word(("Normal", text))}.get(name, text)
    read = reader.read(write(name, content))
    assert isinstance(read, SourceFile)
    assert [block.text for block in read.blocks] == [text]


@pytest.mark.parametrize("name", ["a.pdf", "a.docx", "a.html", "a.txt", "a.md"])
@pytest.mark.parametrize("content", [b"", b" \n", b"\0\1\2 no such thing", b"%PDF-1.7\n%%EOF", b"PK\3\4 torn"])
def test_broken_and_empty_files_are_told_from_documents(write, reader, name, content):
    found = reader.read(write(name, content))
    if isinstance(found, SourceFile):
        assert found.path.suffix in (".html", ".txt", ".md")
        assert found.blocks[0].text
    else:
        assert any(words in reason(found) for words in ("is broken", "no text", "is not a text file"))


def test_half_of_a_document_is_broken(write, reader):
    for name, content in (("a.pdf", pdf(["Text."] * 3)), ("a.docx", word(("Normal", "Text.")))):
        assert "is broken" in reason(reader.read(write(name, content[: len(content) // 2])))


def test_an_encrypted_and_a_scanned_pdf(write, reader):
    assert "is encrypted" in reason(reader.read(write("a.pdf", encrypted(pdf(["Text."]), "secret", "AES-256"))))
    assert "OCR" in reason(reader.read(write("b.pdf", pdf(["", ""]))))


def test_a_word_file_that_is_a_zip_bomb(write, reader):
    stream = BytesIO()
    with ZipFile(BytesIO(word())) as template, ZipFile(stream, "w", ZIP_DEFLATED, compresslevel=1) as bomb:
        for member in template.infolist():
            bomb.writestr(member, template.read(member))
        with bomb.open("word/media/image1.png", "w") as image:
            for _ in range(51):
                image.write(bytes(10_000_000))
    assert len(stream.getvalue()) < 5_000_000
    assert "would unpack to more than 500 MB" in reason(reader.read(write("bomb.docx", stream.getvalue())))


def test_a_line_of_html_of_50_megabytes(write, reader):
    read = reader.read(write("line.html", "<p>" + "word " * 10_000_000))
    assert isinstance(read, SourceFile)
    assert [len(block.text) for block in read.blocks] == [49_999_999]


def test_html_nested_without_end(write, reader):
    assert isinstance(reader.read(write("a.html", "<div>" * 250 + "text")), SourceFile)
    assert "no text" in reason(reader.read(write("b.html", "<div>" * 200_000 + "text")))


def test_a_huge_file_is_refused_unread(tmp_path):
    file = tmp_path / "huge.pdf"
    with file.open("wb") as content:
        content.truncate(files.MAX_FILE_BYTES + 1)
    assert reason(read_file(file)) == "is larger than 100 MB; split it."


@pytest.mark.parametrize("content", ["The bridge.".encode("utf-16"), "Brücke".encode("latin-1")])
def test_other_encodings(write, content):
    read = read_file(write("a.txt", content))
    assert isinstance(read, SourceFile)
    assert read.blocks[0].text in ("The bridge.", "Brücke")


def test_names_that_are_no_text(write, tmp_path):
    broken = tmp_path / os.fsdecode(b"bridge \xff.txt")
    broken.write_text("Text.")
    read = read_file(broken)
    assert isinstance(read, SourceFile)
    assert read.path == broken
    assert (read.source, read.title) == (f"{tmp_path}/bridge \ufffd.txt", "bridge \ufffd")
    lines = read_file(write("two\nlines.txt", "Text."))
    assert isinstance(lines, SourceFile)
    assert lines.source.endswith("two\nlines.txt")


def test_pipes_sockets_devices_and_folders_are_not_waited_for(tmp_path, reader, monkeypatch):
    os.mkfifo(tmp_path / "pipe.txt")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tmp_path)  # the path of a socket must be short
        server.bind("socket.txt")
    (tmp_path / "device.txt").symlink_to("/dev/zero")
    for name in ("pipe.txt", "socket.txt", "device.txt"):
        assert "not a file" in reason(reader.read(tmp_path / name))
    assert reason(reader.read(tmp_path)) == "is a folder."


def test_a_pipe_that_takes_the_place_of_a_file_is_not_waited_for(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.txt")
    ordinary = Path(__file__).stat()
    monkeypatch.setattr(Path, "stat", lambda path: ordinary)
    assert "not a file" in reason(read_file(tmp_path / "pipe.txt"))


def test_links_that_lead_nowhere_and_files_that_vanish(tmp_path, reader):
    (tmp_path / "nowhere.txt").symlink_to("gone.txt")
    (tmp_path / "self.txt").symlink_to("self.txt")
    for name in ("nowhere.txt", "self.txt", "gone.txt"):
        assert "can't be read" in reason(reader.read(tmp_path / name))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_and_folders_that_may_not_be_read(write, tmp_path):
    write("closed.txt", "x").chmod(0)
    write("locked/a.txt", "x").parent.chmod(0)
    try:
        reasons = [reason(found) for found in read_files([tmp_path])]
    finally:
        (tmp_path / "locked").chmod(0o700)
    assert ["can't be read (Permission denied)." in r or "can't be listed" in r for r in reasons] == [True, True]


def test_a_file_that_changes_while_it_is_read(write, monkeypatch):
    file = write("log.txt", "one\n")
    fstat = os.fstat

    def appended(descriptor: int) -> os.stat_result:
        state = fstat(descriptor)
        with file.open("a") as log:
            log.write("more\n")
        return state

    monkeypatch.setattr(os, "fstat", appended)
    assert "was changed while" in reason(read_file(file))


def test_many_files_are_read_one_at_a_time(write, tmp_path):
    for number in range(5):
        write(f"{number}.txt", f"Number {number}.")
    reading = read_files([tmp_path])
    first = next(reading)
    assert isinstance(first, SourceFile)
    (tmp_path / "3.txt").unlink()
    assert [type(found) for found in reading] == [SourceFile, SourceFile, Skipped, SourceFile]
