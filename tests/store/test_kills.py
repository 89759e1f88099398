from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from threading import Event, Thread

import pytest

from r2ag.errors import InputError
from r2ag.store import Store, index_files
from tests.hashing import paragraphs
from tests.store.conftest import contents

KILLS = int(os.environ.get("R2AG_TEST_KILLS", "10"))


@pytest.fixture(autouse=True)
def _one_passage_a_paragraph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("r2ag.store.indexing.chunk", paragraphs)


CHILD = """
import signal, sys, time
from pathlib import Path
from r2ag.store import Store, index_files, indexing
from tests.hashing import HashingEncoder, paragraphs
encoder, indexing.chunk, indexing.PASSAGES_AT_ONCE = HashingEncoder(), paragraphs, int(sys.argv[3])
started = time.process_time()
signal.setitimer(signal.ITIMER_PROF, float(sys.argv[4]))  # its signal ends the process as a kill does
index_files(Store.create(Path(sys.argv[1]), encoder), [Path(sys.argv[2])], encoder)
print(time.process_time() - started)
"""


def child(store: Path, notes: Path, at_once: int, lives: float = 0) -> subprocess.Popen[str]:
    """A process that indexes, some passages at once; after `lives` seconds of processor time it dies, 0 is never."""
    command = [sys.executable, "-c", CHILD, str(store), str(notes), str(at_once), str(lives)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


class Reading(Thread):
    """Reads all of a store, where there is one, again and again while the block lasts; raises what went wrong."""

    def __init__(self, store: Store | None) -> None:
        super().__init__(daemon=True)
        self.store = store
        self.reads = 0
        self._over = Event()
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            while self.store is not None and not self._over.wait(0.02):
                check_whole(contents(self.store))
                self.reads += 1
        except BaseException as error:
            self._error = error

    def __enter__(self) -> Reading:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()
        if self._error is not None:
            raise self._error


def check_whole(found: dict[str, list[str]]) -> None:
    for texts in found.values():
        assert len(texts) == 2, "a file is there in part"
        assert texts[1] == "Its second passage."


def test_killed_at_any_moment_the_store_is_whole_readers_go_on_and_so_does_the_work(tmp_path, encoder):
    notes, folder = tmp_path / "notes", tmp_path / "store"
    notes.mkdir()
    chance = random.Random(0)
    for number in range(150):
        (notes / f"{number}.txt").write_text(f"Text {number}, version 0.\n\nIts second passage.")
    longest = seconds_of_a_run(tmp_path / "scratch", notes)
    store, reads = None, 0
    for version in range(KILLS):
        for number in range(150):
            if chance.random() < 0.5:
                (notes / f"{number}.txt").write_text(f"Text {number}, version {version}.\n\nIts second passage.")
        with Reading(store) as reading:
            child(folder, notes, at_once=8, lives=chance.uniform(0, longest)).communicate()
        reads += reading.reads
        store = Store.create(folder, encoder)  # a kill before the first transaction leaves none
        store.check()
        check_whole(contents(store))
    assert reads >= KILLS
    left = index_files(store, [notes], encoder)
    assert left.added + left.changed + left.unchanged == 150
    expected = {file.name: file.read_text().split("\n\n") for file in notes.iterdir()}
    assert contents(store) == expected
    assert index_files(store, [notes], encoder).passages == 0
    store.check()
    print(f"{KILLS} kills, {reads} reads meanwhile, {left.unchanged} of 150 files left unchanged by the last run")


def seconds_of_a_run(folder: Path, notes: Path) -> float:
    """Processor time of a whole run."""
    return float(child(folder, notes, at_once=8).communicate()[0])


def test_a_killed_run_is_taken_up_where_it_was(tmp_path, encoder):
    notes, folder = tmp_path / "notes", tmp_path / "store"
    notes.mkdir()
    for number in range(800):
        (notes / f"{number}.txt").write_text(f"Text {number}.\n\nIts second passage.")
    process = child(folder, notes, at_once=64)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not _has_files(folder):
        time.sleep(0.01)
    process.kill()
    process.communicate()
    with Store.open(folder).snapshot() as snapshot:
        done = len(snapshot.files())
    assert 0 < done < 800
    report = index_files(Store.create(folder, encoder), [notes], encoder)
    assert (report.added, report.unchanged) == (800 - done, done)
    assert len(encoder.encoded) == 2 * (800 - done)


def _has_files(folder: Path) -> bool:
    try:
        return Store.open(folder).info().files > 0
    except InputError:
        return False
