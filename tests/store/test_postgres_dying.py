"""Clients of PostgreSQL, and PostgreSQL itself, killed in the middle of their work."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from r2ag.errors import InputError
from r2ag.store import AnyStore, create_store, index_files, open_store
from tests.hashing import paragraphs
from tests.server.conftest import eventually
from tests.store.conftest import put
from tests.store.postgres_server import PostgresServer, running_postgres


@pytest.fixture(scope="module")
def mortal() -> Iterator[PostgresServer]:
    """A server of this module's own, to be killed."""
    with running_postgres() as server:
        yield server


CHILD = """
import sys
from pathlib import Path
from r2ag.store import create_store, index_files, indexing
from tests.hashing import HashingEncoder, paragraphs
encoder, indexing.chunk, indexing.PASSAGES_AT_ONCE = HashingEncoder(), paragraphs, 8
store = create_store(sys.argv[1], encoder)
index_files(store, [Path(sys.argv[2])], encoder, on_progress=lambda what, done, total: print(done, flush=True))
"""


def write_notes(folder: Path, version: int, count: int) -> None:
    folder.mkdir(exist_ok=True)
    for number in range(count):
        (folder / f"{number}.txt").write_text(f"Text {number}, version {version}.\n\nIts second passage.")


def whole_files(store: AnyStore) -> int:
    """How many files there are, all of which must have both passages."""
    with store.snapshot() as snapshot:
        for source in snapshot.files():
            texts = [document.text for document in snapshot.documents(snapshot.ids(source))]
            assert len(texts) == 2, "a file is there in part"
            assert texts[1] == "Its second passage."
        return len(snapshot.files())


def _locks(server: PostgresServer) -> list[tuple[object, ...]]:
    return server.sql("SELECT pid FROM pg_locks WHERE locktype = 'advisory'")


def test_a_client_that_is_killed_leaves_whole_files_and_no_lock(postgres, encoder, tmp_path, monkeypatch):
    monkeypatch.setattr("r2ag.store.indexing.chunk", paragraphs)
    url, notes = postgres.url("killed_clients"), tmp_path / "notes"
    for version in range(2):
        write_notes(notes, version, 120)
        with subprocess.Popen([sys.executable, "-c", CHILD, url, notes], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            while int(process.stdout.readline() or 120) < 20 + 40 * version:
                pass
            process.kill()
        whole_files(open_store(url))
    eventually(lambda: not _locks(postgres))  # the server sees at its next word to the client that it is gone
    report = index_files(open_store(url), [notes], encoder)
    assert report.added + report.changed + report.unchanged == 120
    assert whole_files(open_store(url)) == 120
    open_store(url).check()


def test_a_server_that_dies_while_indexing_loses_nothing_that_was_done(mortal, encoder, tmp_path, monkeypatch):
    monkeypatch.setattr("r2ag.store.indexing.chunk", paragraphs)
    monkeypatch.setattr("r2ag.store.indexing.PASSAGES_AT_ONCE", 8)
    notes = tmp_path / "notes"
    write_notes(notes, 0, 60)
    store = create_store(mortal.url("dying"), encoder)

    def kill_half_way(what, done, total):
        if done > total / 2 and mortal.process.poll() is None:
            mortal.kill()

    with pytest.raises(InputError, match=r"can't be reached .*give the same command again: what was done is kept"):
        index_files(store, [notes], encoder, on_progress=kill_half_way)
    with pytest.raises(InputError, match="can't be reached"):
        store.info()
    mortal.start()
    done = whole_files(store)
    assert 0 < done < 60
    encoder.encoded.clear()
    report = index_files(store, [notes], encoder)
    assert (report.added, report.unchanged, len(encoder.encoded)) == (60 - done, done, 2 * (60 - done))
    store.check()


def test_a_server_that_dies_while_searched(mortal, encoder):
    store = create_store(mortal.url("searched"), encoder)
    put(store, encoder, "rivers", "The river runs.")

    def search() -> None:
        with store.snapshot() as snapshot:
            mortal.kill()
            snapshot.matching("river", 9)

    try:
        with pytest.raises(InputError, match="can't be reached"):
            search()
    finally:
        mortal.start()
    for _ in range(3):  # connections that died are not used again
        with store.snapshot() as snapshot:
            assert len(snapshot.matching("river", 9)) == 1
