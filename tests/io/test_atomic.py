from __future__ import annotations

import os
from pathlib import Path

import pytest

from r2ag.io.atomic import whole_file, whole_folder, write_whole


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "parent" / "out"
    with whole_folder(target) as new:
        (new / "a").write_text("1")
    with pytest.raises(FileNotFoundError), whole_folder(target) as new:
        (new / "missing" / "b").write_text("2")
    assert names(target.parent) == ["out"]
    assert names(target) == ["a"]
    with whole_folder(target) as new:
        (new / "b").write_text("2")
    assert names(target) == ["b"]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "parent" / "file"
    write_whole(target, "old")

    def fail(part: str) -> None:
        with whole_file(target) as new:
            new.write_text(part)
            assert target.read_text() == "old"
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        fail("half")
    assert names(target.parent) == ["file"]
    assert target.read_text() == "old"
    write_whole(target, b"new")
    assert target.read_bytes() == b"new"
    assert names(target.parent) == ["file"]


def test_what_a_killed_process_of_the_same_id_left_is_in_nobodys_way(tmp_path: Path) -> None:
    target = tmp_path / "out"
    for left in (target, *(target.with_name(f".out.{os.getpid()}{suffix}") for suffix in ("", ".old"))):
        left.mkdir()
        (left / "left").write_text("1")
    with whole_folder(target) as new:
        (new / "a").write_text("2")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in target.iterdir()] == ["a"]
