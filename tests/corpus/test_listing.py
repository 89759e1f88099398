from __future__ import annotations

import os
import subprocess
from pathlib import Path

from r2ag.corpus import Skipped, list_files


def names(found, folder):
    return [
        (item.path if isinstance(item, Skipped) else item).relative_to(folder).as_posix()
        for item in found
        if not isinstance(item, Skipped)
    ]


def test_folders_give_their_documents_by_name_without_hidden_ones(write, tmp_path):
    for name in ("b.md", "a.txt", "deep/c.MARKDOWN", "deep/er/d.pdf", ".hidden.md", ".git/e.md", "ab/f.html"):
        write(name, "x")
    picture = write("picture.png", "x")
    found = list(list_files([tmp_path]))
    assert names(found, tmp_path) == ["a.txt", "ab/f.html", "b.md", "deep/c.MARKDOWN", "deep/er/d.pdf"]
    skipped = [item for item in found if isinstance(item, Skipped)]
    assert [item.path for item in skipped] == [picture]
    assert "is not one of" in skipped[0].reason


def test_named_files_come_in_the_order_given_and_once(write, tmp_path):
    files = [write(name, "x") for name in ("b.md", "a.txt", ".hidden.md", "Makefile")]
    assert list(list_files([*files, tmp_path, files[0], tmp_path / "*.md"])) == files


def test_patterns(write, tmp_path):
    for name in ("a.md", "deep/b.md", "deep/c.txt", ".hidden/d.md", "deep/e.png"):
        write(name, "x")
    assert names(list_files([tmp_path / "**" / "*.md"]), tmp_path) == ["a.md", "deep/b.md"]
    assert names(list_files([tmp_path / "d*"]), tmp_path) == ["deep/b.md", "deep/c.txt"]
    assert list(list_files([tmp_path / "*.pdf"])) == [Skipped(tmp_path / "*.pdf", "matches no file.")]
    odd = write("what[1]?.md", "x")
    assert list(list_files([odd])) == [odd]


def test_hidden_names_that_a_pattern_spells(write, tmp_path):
    for name in (".hidden/d.md", ".hidden/.deep/e.md", ".f.md"):
        write(name, "x")
    assert names(list_files([tmp_path / ".hidden" / "**" / "*.md"]), tmp_path) == [".hidden/d.md"]
    assert names(list_files([tmp_path / ".*.md"]), tmp_path) == [".f.md"]
    assert names(list_files([tmp_path / "*" / "*.md"]), tmp_path) == []


def test_patterns_enter_no_links(write, tmp_path, monkeypatch):
    write("deep/a.md", "x")
    (tmp_path / "deep/up").symlink_to(tmp_path)
    assert names(list_files([tmp_path / "**" / "*.md"]), tmp_path) == ["deep/a.md"]
    monkeypatch.chdir(tmp_path)
    assert list(list_files([Path("**/a**.md")])) == [Path("deep/a.md")]
    found = list(list_files([Path("d*/**")]))
    assert [item for item in found if isinstance(item, Path)] == [Path("deep/a.md")]
    assert [item.path.name for item in found if isinstance(item, Skipped)] == ["up"]


def test_links_in_circles_end(write, tmp_path):
    write("deep/a.md", "x")
    (tmp_path / "deep/up").symlink_to(tmp_path)
    (tmp_path / "b.md").symlink_to(tmp_path / "deep/a.md")
    (tmp_path / "self.md").symlink_to("self.md")
    found = list(list_files([tmp_path]))
    assert names(found, tmp_path) == ["b.md", "deep/a.md", "self.md"]
    assert [(item.path.name, item.reason[:21]) for item in found if isinstance(item, Skipped)] == [
        ("up", "is a link to a folder")
    ]
    assert names(list_files([tmp_path / "deep/up"]), tmp_path / "deep/up")[0] == "b.md"


def test_odd_names(tmp_path):
    odd = [tmp_path / "line\nbreak.md", tmp_path / os.fsdecode(b"\xff\xfe.md")]
    for file in odd:
        file.write_text("x")
    assert list(list_files([tmp_path])) == odd


def test_folders_deeper_than_calls_may_be(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(1050):
        Path("d").mkdir()
        os.chdir("d")
    Path("a.md").write_text("x")
    os.chdir(tmp_path)
    try:
        assert [file.name for file in list_files([Path("d")]) if isinstance(file, Path)] == ["a.md"]
    finally:
        subprocess.run(["rm", "-r", "d"], check=True)  # pytest could not


def test_what_is_not_there(tmp_path):
    assert list(list_files([tmp_path / "gone.md"])) == [Skipped(tmp_path / "gone.md", "is not there.")]
