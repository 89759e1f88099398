from __future__ import annotations

from pathlib import Path

from r2ag.io import journal


def test_what_was_added_comes_back(tmp_path: Path) -> None:
    file = tmp_path / "new" / "lines.jsonl"
    assert list(journal.read(file)) == []
    added = [{"a": 1, "text": "Brücke 🌉\n"}, {"half an emoji": "\ud83d"}, {}]
    for fields in added:
        journal.append(file, fields)
    assert list(journal.read(file)) == added
    assert "Brücke" in file.read_text(encoding="utf-8")


def test_half_a_line_of_a_killed_run_is_left_out_and_swallows_no_later_one(tmp_path: Path) -> None:
    file = tmp_path / "lines.jsonl"
    file.write_bytes(b'{"a": 1}\n[2]\n{"a": "half a li')
    journal.append(file, {"a": 3})
    assert list(journal.read(file)) == [{"a": 1}, {"a": 3}]
    assert file.read_bytes().endswith(b'\n{"a": 3}\n')
