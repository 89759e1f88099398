"""Everything that may be wrong with a store, its files and its folder."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from r2ag.errors import InputError
from r2ag.store import Store, index_files
from r2ag.store.database import connect_to_write
from tests.hashing import HashingEncoder
from tests.store.conftest import put
from tests.store.test_store import texts


def test_no_store(tmp_path, encoder):
    (tmp_path / "file").write_text("x")
    for method in (Store.open, lambda folder: Store.create(folder, encoder)):
        with pytest.raises(InputError, match="file is a file; --store names a folder"):
            method(tmp_path / "file")
    with pytest.raises(InputError, match=r"There is no store in .*nowhere; make one with: r2ag index"):
        Store.open(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds other files"):
        Store.create(tmp_path, encoder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_another_encoder(store, encoder):
    for other in (HashingEncoder("other"), HashingEncoder(dimension=32)):
        with pytest.raises(InputError, match="holds vectors of the encoder hashing"):
            Store.create(store.folder, other)
        with pytest.raises(InputError, match="holds vectors of the encoder hashing"):
            index_files(store, [], other)
    renamed = HashingEncoder()
    renamed.name = "the same by another name"
    renamed._encode = encoder._encode
    Store.create(store.folder, renamed)


def test_a_newer_format(store):
    with closing(sqlite3.connect(store.folder / "store.sqlite")) as connection, connection:
        connection.execute("UPDATE meta SET value = 2 WHERE key = 'format_version'")
    with pytest.raises(InputError, match="format version 2, and this r2ag reads version 1; upgrade"):
        Store.open(store.folder)
    with pytest.raises(InputError, match="upgrade"):
        store.info()


def damage(store: Store, change: Callable[[bytearray], None]) -> None:
    with closing(connect_to_write(store.folder)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file = store.folder / "store.sqlite"
    content = bytearray(file.read_bytes())
    change(content)
    file.write_bytes(bytes(content))


def header(content: bytearray) -> None:
    content[:16] = b"no database here"


def halves(content: bytearray) -> None:
    del content[len(content) // 2 :]


def pages(content: bytearray) -> None:
    content[2 * 16384 :] = b"\xa5" * (len(content) - 2 * 16384)


@pytest.mark.parametrize("change", [header, halves, pages])
def test_a_damaged_file(store, encoder, change):
    damage(store, change)

    def use() -> None:
        opened = Store.open(store.folder)
        opened.check()

    with pytest.raises(InputError, match=r"The store .* is damaged .*index the files again into a new store"):
        use()


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE vectors SET vector = x'00' WHERE chunk = 1", "64 numbers"),
        ("UPDATE vectors SET vector = (SELECT replace(hex(zeroblob(128)), '00', 'ÿ'))", "64 numbers"),
        ("DELETE FROM vectors WHERE chunk = 1", "missing in the table vectors"),
        ("DELETE FROM words WHERE rowid = 1", "missing in the table words"),
        ("DELETE FROM chunks WHERE id = 1", "vectors belongs to rows of chunks that are gone"),
        ("DELETE FROM files", "chunks belongs to rows of files that are gone"),
        ("INSERT INTO words (rowid, title, text) VALUES (99, '', '')", "words holds a passage that is gone"),
        ("DELETE FROM words_data WHERE id > 10", "damaged"),
        ("DELETE FROM meta WHERE key = 'probe'", "damaged"),
    ],
)
def test_parts_that_do_not_fit_are_found(store, statement, words):
    with closing(sqlite3.connect(store.folder / "store.sqlite")) as connection, connection:
        connection.execute(statement)
    with pytest.raises(InputError, match=words) as refused:
        store.check()
    assert "damaged" in str(refused.value)


def test_a_database_of_another_program(tmp_path):
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as connection, connection:
        connection.execute("CREATE TABLE notes (text)")
    with pytest.raises(InputError, match="not one that this r2ag can use"):
        Store.open(tmp_path)


def test_a_full_disk_loses_nothing(store, encoder, tmp_path, monkeypatch):
    notes = tmp_path / "notes"
    notes.mkdir()
    for number in range(300):
        (notes / f"{number:03}.txt").write_text(f"Text {number}.\n\n" + "long" * 500)

    def small(folder: Path) -> sqlite3.Connection:
        connection = connect_to_write(folder)
        connection.execute("PRAGMA max_page_count = 60")
        return connection

    monkeypatch.setattr("r2ag.store.store.connect_to_write", small)
    with pytest.raises(InputError, match=r"disk that holds the store .* is full; make room .* what was done is kept"):
        index_files(store, [notes], encoder)
    monkeypatch.undo()
    store.check()
    done = store.info().files - 2
    assert 0 < done < 300
    report = index_files(store, [notes], encoder)
    assert (report.added, report.unchanged) == (300 - done, done)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, unlike pytest's."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """For a while nothing can be written to the folder; root, who could, is another user meanwhile."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    is_root = os.geteuid() == 0
    if is_root:
        os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        if is_root:
            os.setresuid(0, 0, 0)
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_a_read_only_folder_can_be_searched_and_not_written(open_folder, encoder):
    store = Store.create(open_folder / "store", encoder)
    put(store, encoder, "rivers", "The river runs.")
    with read_only(open_folder):
        with pytest.raises(InputError, match="Nothing can be written to the store"):
            put(store, encoder, "x", "y")
        with pytest.raises(InputError, match=r"can't be made \(Permission denied\); name another"):
            Store.create(open_folder / "new" / "store", encoder)
        opened = Store.open(open_folder / "store")
        with opened.snapshot() as snapshot:
            assert texts(snapshot, "river") == ["The river runs."]
            assert len(snapshot.nearest(encoder.encode_queries(["river"])[0], 9)) == 1


def test_an_empty_read_only_folder(open_folder, encoder):
    with read_only(open_folder), pytest.raises(InputError, match="Nothing can be written to"):
        Store.create(open_folder, encoder)
