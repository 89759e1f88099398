from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2ag.errors import InputError
from r2ag.records.formats import rows as formats_rows
from r2ag.records.formats.rows import read_rows

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
ROWS = st.lists(st.dictionaries(st.text('ab]},"\\é北', max_size=3), JSON, max_size=3), max_size=5)


@given(rows=ROWS, size=st.integers(1, 9), indent=st.sampled_from([None, 2]), ascii_only=st.booleans())
def test_an_array_is_read_whatever_its_pieces(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], size: int, indent: int | None, ascii_only: bool
) -> None:
    file = tmp_path_factory.mktemp("array") / "a.json"
    file.write_text(f"\ufeff \n{json.dumps(rows, indent=indent, ensure_ascii=ascii_only)}\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(formats_rows, "CHUNK_BYTES", size)
        assert [row.fields for row in read_rows(file)] == rows


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b'[{"a": 1}, {"a": ', "entry 2: not valid JSON, or cut off"),
        (b'[{"a": 1}, ', "entry 2: not valid JSON, or cut off"),
        (b'[{"a": 1}', "entry 1: not valid JSON, or cut off"),
        (b'[{"a": 1} {"a": 2}]', "entry 1: not valid JSON; a comma"),
        (b'[{"a": 1}, 7]', "entry 2: not a JSON object"),
        (b'[{"a": 1}, {"a": x}]', "entry 2: not valid JSON"),
        (b'[{"a": "\xff"}]', "not UTF-8"),
        (b"[", "entry 1: not valid JSON, or cut off"),
        (b'[{"a": ' + b"[" * 100_000, "entry 1: not valid JSON"),
        (b'{"a": 1}\n{"a"', "line 2: not valid JSON"),
        (b'{"a": 1}\n3', "line 2: not a JSON object"),
    ],
)
def test_damaged_files(tmp_path: Path, content: bytes, sentence: str) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(content)
    with pytest.raises(InputError) as error:
        list(read_rows(file))
    assert str(error.value).startswith(str(file))
    assert sentence in str(error.value)


def test_an_entry_that_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats_rows, "MAX_LINE_BYTES", 100)
    monkeypatch.setattr(formats_rows, "CHUNK_BYTES", 10)
    file = tmp_path / "a.json"
    file.write_text(json.dumps([{"a": 1}, {"a": "x" * 200}]))
    with pytest.raises(InputError, match=r"entry 2: .* longer than 100"):
        list(read_rows(file))


def test_missing_files_and_folders(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputError, match=str(path)):
            list(read_rows(path))
