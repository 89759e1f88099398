"""Writers of a store in Qdrant that die or fall asleep, and what they leave behind."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from r2ag.errors import InputError
from r2ag.store import AnyStore, create_store, index_files
from tests.hashing import HashingEncoder, paragraphs
from tests.store.conftest import put
from tests.store.kinds import OneAtATime
from tests.store.test_postgres_dying import whole_files, write_notes
from tests.store.test_qdrant import name, store

client = pytest.importorskip("qdrant_client", reason="needs qdrant-client: pip install 'r2ag[qdrant]'")

__all__ = ["name", "store"]


def sources(store: AnyStore) -> list[str]:
    with store.snapshot() as snapshot:
        return sorted({document.source for document in snapshot.documents(snapshot.ids())})


def test_what_died_is_cleared_away_when_nobody_reads_it_any_more(qdrant, store, name, encoder, monkeypatch):
    before = qdrant.count(name).count
    put(store, encoder, "rivers", "The canal runs.")
    assert qdrant.count(name).count == before + 2  # the old passage and file are still there for those who read them
    monkeypatch.setattr("r2ag.store.qdrant.writer.READERS_SECONDS", -1.0)
    with store.writing():
        pass
    assert qdrant.count(name).count == before
    store.check()


def test_a_writer_that_is_silent_for_long_is_taken_for_dead(store, encoder, monkeypatch):
    from r2ag.store.qdrant import lease

    monkeypatch.setattr(lease, "BEAT_SECONDS", 3600.0)
    monkeypatch.setattr(lease, "DEAD_AFTER_SECONDS", 1.0)

    def asleep() -> None:
        with store.writing() as writer, writer.batch():
            writer.remove("bridges")
            writer._send()
            put(store, encoder, "rivers", "A ferry runs now.")  # another writer, while this one sleeps

    with pytest.raises(InputError, match=r"Another process began to write the store .* what was done is kept"):
        asleep()
    assert sources(store) == ["bridges", "rivers"]
    with store.snapshot() as snapshot:
        assert len(snapshot.matching("ferry", 9)) == 1
    store.check()


def test_a_writer_that_was_killed_is_soon_replaced(qdrant, store, name, encoder, monkeypatch):
    from r2ag.store.qdrant import lease

    monkeypatch.setattr(lease, "DEAD_AFTER_SECONDS", 1.0)
    qdrant.set_payload(name, {"writer": "killed", "beat": 7}, points=[0])
    put(store, encoder, "towns", "The town sleeps.")
    assert sources(store) == ["bridges", "rivers", "towns"]


CHILD = """
import sys
from pathlib import Path
from qdrant_client import QdrantClient
from r2ag.store import create_store, index_files, indexing
from r2ag.store.qdrant import collection, lease
from tests.hashing import HashingEncoder, paragraphs
engine = QdrantClient(path=sys.argv[1])
collection.QdrantClient, lease.BEAT_SECONDS = lambda **options: engine, 3600.0
encoder, indexing.chunk, indexing.PASSAGES_AT_ONCE = HashingEncoder(), paragraphs, 8
print("started", flush=True)
index_files(create_store("qdrant+http://in-process/notes", encoder), [Path(sys.argv[2])], encoder)
"""


def test_killed_at_any_moment_the_store_is_whole_and_the_work_goes_on(tmp_path, encoder, monkeypatch):
    """The engine keeps its points in a folder; it is killed together with the process that indexes."""
    monkeypatch.setattr("r2ag.store.indexing.chunk", paragraphs)
    monkeypatch.setattr("r2ag.store.qdrant.lease.DEAD_AFTER_SECONDS", 0.5)
    monkeypatch.setattr("r2ag.store.qdrant.lease.BEAT_SECONDS", 3600.0)
    notes, folder, chance = tmp_path / "notes", tmp_path / "engine", random.Random(0)
    for version in range(4):
        write_notes(notes, version, 60)
        command = [sys.executable, "-c", CHILD, str(folder), str(notes)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(chance.uniform(0.2, 1.5))
            process.kill()
        with engine_in(folder, monkeypatch):
            store = create_store("qdrant+http://in-process/notes", encoder)
            store.check()
            whole_files(store)
            if version == 3:
                report = index_files(store, [notes], encoder)
                assert report.added + report.changed + report.unchanged == 60
                assert whole_files(store) == 60
                assert index_files(store, [notes], encoder).passages == 0
                store.check()


@contextmanager
def engine_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    engine = client.QdrantClient(path=str(folder), force_disable_check_same_thread=True)
    monkeypatch.setattr("r2ag.store.qdrant.collection.QdrantClient", lambda **options: OneAtATime(engine))
    try:
        yield
    finally:
        engine.close()


def test_another_encoder_is_recognised_by_its_vectors(store):
    with pytest.raises(InputError, match="holds vectors of the encoder hashing"):
        create_store(store.name, HashingEncoder("other"))
