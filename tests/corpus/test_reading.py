from __future__ import annotations

import pytest

from r2ag.corpus import read_documents, read_sources
from r2ag.errors import InputError
from r2ag.types import Document
from tests.corpus.conftest import pdf


def words(text: str) -> int:
    return len(text.split())


def test_files_become_passages(write, tmp_path):
    bees = write("bees.md", "# Bees\n\n## Dance\n\nThey dance\nin the dark.\n")
    bridge = write("bridge.pdf", pdf(["It fell in 1890."]))
    assert read_documents([tmp_path], words, 200) == [
        Document("They dance in the dark.", "Bees > Dance", str(bees), None, "Bees > Dance", "lines 5-6"),
        Document("It fell in 1890.", "bridge", str(bridge), place="page 1"),
    ]


def test_what_is_skipped_is_told(write, tmp_path):
    write("a.txt", "Text.")
    broken = [write("b.pdf", b"torn"), write("c.txt", "")]
    skipped = []
    assert [file.path.name for file in read_sources([tmp_path], skipped.append)] == ["a.txt"]
    assert [each.path for each in skipped] == broken


def test_what_holds_no_text_is_refused_by_name(write, tmp_path):
    binary = write("model.txt", b"GGUF\0\0\1")
    empty = write("empty/empty.txt", " \n\n ")
    bare = tmp_path / "bare"
    bare.mkdir()
    for path, reason in [
        (tmp_path / "gone.txt", "There is no file or folder"),
        (tmp_path / "*.gone", "matches no file"),
        (bare, "holds no document"),
        (binary, "is not a text file"),
        (empty, "has no text in it"),
        (empty.parent, "has no text in it"),
    ]:
        with pytest.raises(InputError, match=reason) as refusal:
            read_sources([path])
        assert str(path) in str(refusal.value)
    with pytest.raises(InputError, match="1 more file be read"):
        read_sources([binary, empty])
