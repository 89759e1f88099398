"""Processes that are killed while they write to Qdrant, and what the next index run makes of that."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from r2ag.errors import InputError
from r2ag.store import AnyStore, copy_store, create_store, index_files, open_store
from tests.hashing import HashingEncoder, paragraphs
from tests.store.conftest import put
from tests.store.kinds import OneAtATime, new_location
from tests.store.test_qdrant import name, store

client = pytest.importorskip("qdrant_client", reason="needs qdrant-client: pip install 'r2ag[qdrant]'")

__all__ = ["name", "store"]


class Killed(BaseException):
    """Stands for the end of the process."""


class Killing:
    """A client whose process is killed before one of its requests that change something."""

    def __init__(self, engine: Any, before: int) -> None:
        self._engine = engine
        self._left = before

    def __getattr__(self, name: str) -> Any:
        if name in ("upsert", "delete", "set_payload"):
            if self._left == 0:
                raise Killed
            self._left -= 1
        return getattr(self._engine, name)


@pytest.fixture(autouse=True)
def _one_passage_a_paragraph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("r2ag.store.indexing.chunk", paragraphs)


def first(folder: Path) -> None:
    (folder / "bridge.txt").write_text("The bridge.\n\nIts arches.\n\nIts toll.")
    (folder / "river.txt").write_text("The river.\n\nIts ferry.")


def change(folder: Path) -> None:
    (folder / "bridge.txt").write_text("A new bridge.\n\nIts arches.")


def add(folder: Path) -> None:
    (folder / "town.txt").write_text("The town.\n\nIts mason.")


def remove(folder: Path) -> None:
    (folder / "bridge.txt").unlink()


def touch(folder: Path) -> None:
    os.utime(folder / "bridge.txt", (1.0, 1.0))


def take_back(folder: Path) -> None:
    """What an interrupted run has seen of the folder is gone."""
    first(folder)
    os.utime(folder / "bridge.txt", (2.0, 2.0))
    (folder / "town.txt").unlink(missing_ok=True)


def nothing(folder: Path) -> None:
    """The folder stays."""


def expected(folder: Path) -> dict[str, list[str]]:
    return {str(file): file.read_text().split("\n\n") for file in sorted(folder.iterdir())}


def found(store: AnyStore) -> dict[str, list[str]]:
    """What searches can find, which must be all that there is of any file."""
    with store.snapshot() as snapshot:
        texts: dict[str, list[str]] = {}
        for document in snapshot.documents(snapshot.ids()):
            texts.setdefault(document.source, []).append(document.text)
        hits = snapshot.nearest(snapshot.vectors(snapshot.ids()[:1])[0], 99)
        assert sorted(hit.id for hit in hits) == sorted(snapshot.ids())
        assert list(snapshot.files()) == list(texts)
        return texts


@pytest.mark.parametrize("then", [nothing, take_back])
@pytest.mark.parametrize("step", [change, add, remove, touch])
def test_killed_between_any_two_requests_the_next_run_repairs_the_store(
    step: Callable[[Path], None],
    then: Callable[[Path], None],
    qdrant: Any,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    encoder: HashingEncoder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for before in count():
        notes = tmp_path / f"notes{before}"
        notes.mkdir()
        first(notes)
        os.utime(notes / "bridge.txt", (2.0, 2.0))
        location = new_location("qdrant", request)
        index_files(create_store(location, encoder), [notes], encoder)
        step(notes)
        with monkeypatch.context() as patch:
            patch.setattr("r2ag.store.qdrant.QdrantClient", lambda **_: Killing(qdrant, before))  # noqa: B023
            try:
                index_files(open_store(location), [notes], encoder)
            except Killed:
                pass
            else:
                break
        store = open_store(location)
        if before:
            with pytest.raises(InputError, match=r"holds .* only in part; index it again|passages of .* are missing"):
                store.check()
        then(notes)
        index_files(store, [notes], encoder)
        assert found(store) == expected(notes)
        store.check()
        assert index_files(store, [notes], encoder).passages == 0
    assert before >= 3


@pytest.mark.parametrize("before", [1, 2, 3])
def test_a_copy_that_was_killed_in_the_middle_of_a_file_is_taken_up(before, qdrant, request, encoder, monkeypatch):
    source = create_store(new_location("embedded", request), encoder)
    put(source, encoder, "bridges", "The bridge.", "Its arches.")
    location = new_location("qdrant", request)
    create_store(location, encoder)
    with monkeypatch.context() as patch:
        patch.setattr("r2ag.store.locations._need", lambda *_: None)
        copying = open_store(location)
        copying._points._client = Killing(qdrant, before)
        patch.setattr("r2ag.store.locations.create_store", lambda *_: copying)
        with pytest.raises(Killed):
            copy_store(source, location)
    assert copy_store(source, location).copied == 1
    assert found(open_store(location)) == {"bridges": ["The bridge.", "Its arches."]}


def test_metadata_that_was_half_written_is_written_again(qdrant, request, tmp_path, encoder):
    first(tmp_path)
    location = new_location("qdrant", request)
    index_files(create_store(location, encoder), [tmp_path], encoder)
    killed = open_store(location)
    killed._points._client = Killing(qdrant, 1)
    with pytest.raises(Killed):
        index_files(killed, [tmp_path], encoder, {"team": "red"})
    store = open_store(location)
    index_files(store, [tmp_path], encoder, {"team": "red"})
    with store.snapshot() as snapshot:
        assert len(snapshot.matching("the its", 9, "team = red")) == 5
        assert {file.fields["team"] for file in snapshot.files().values()} == {"red"}
    store.check()


CHILD = """
import os, sys
from pathlib import Path
from qdrant_client import QdrantClient
from r2ag.store import create_store, index_files, indexing, qdrant
from tests.hashing import HashingEncoder, paragraphs
engine, left = QdrantClient(path=sys.argv[1]), int(sys.argv[3])
upsert = engine.upsert
def dying(*arguments, **options):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), 9)
    return upsert(*arguments, **options)
engine.upsert, engine.close = dying, lambda: None
qdrant.QdrantClient = lambda **options: engine
encoder, indexing.chunk = HashingEncoder(), paragraphs
index_files(create_store("qdrant+http://in-process/notes", encoder), [Path(sys.argv[2])], encoder)
"""


def test_a_process_that_is_really_killed_loses_only_the_file_that_it_wrote(tmp_path, encoder, monkeypatch):
    """The engine keeps its points in a folder; it is killed together with the process that indexes."""
    notes, folder = tmp_path / "notes", tmp_path / "engine"
    notes.mkdir()
    for number in range(6):
        (notes / f"{number}.txt").write_text(f"Text {number}.\n\nIts second passage.")
    # One upsert describes the store, then there are two for each file.
    command = [sys.executable, "-c", CHILD, str(folder), str(notes), "6"]
    assert subprocess.run(command, timeout=120).returncode == -9
    engine = client.QdrantClient(path=str(folder), force_disable_check_same_thread=True)
    monkeypatch.setattr("r2ag.store.qdrant.QdrantClient", lambda **options: OneAtATime(engine))
    try:
        store = open_store("qdrant+http://in-process/notes")
        report = index_files(store, [notes], encoder)
        assert (report.unchanged, report.changed, report.added) == (2, 1, 3)
        assert found(store) == expected(notes)
        store.check()
    finally:
        engine.close()
