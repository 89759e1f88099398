"""Large stores: searched by signs, which follow the database whatever happens to it or to their file."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from r2ag.errors import InputError
from r2ag.store import Store, StoredFile
from r2ag.store import vectors as signs
from r2ag.store.database import connect_to_write
from r2ag.types import Document
from tests.hashing import HashingEncoder
from tests.store.conftest import put

DIMENSION, K = 100, 10
ENCODER = HashingEncoder(dimension=DIMENSION)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """What is large here."""
    monkeypatch.setattr("r2ag.store.store.EXACT_LIMIT", 50)
    monkeypatch.setattr(signs, "CANDIDATES", 200)


@pytest.fixture
def vectors() -> np.ndarray:
    """3,000 unit vectors around 60 centres."""
    generator = np.random.default_rng(0)
    centres = generator.standard_normal((60, DIMENSION))
    drawn = np.repeat(centres, 50, axis=0) + 0.7 * generator.standard_normal((3000, DIMENSION))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def store(tmp_path: Path, vectors: np.ndarray) -> Store:
    """A hundred files of 30 passages, whose ids count from 1."""
    store = Store.create(tmp_path / "store", ENCODER)
    with store.writing() as writer, writer.batch():
        for number in range(100):
            put_vectors(writer, number, vectors[30 * number : 30 * number + 30])
    return store


def put_vectors(writer, number: int, vectors: np.ndarray) -> None:
    documents = [Document(f"passage {row}") for row in range(len(vectors))]
    writer.put(StoredFile(f"{number}.txt", "digest", 1, 0.0, {"part": number % 10}), documents, vectors)


def found(store: Store, query: np.ndarray, where: str | None = None) -> list[tuple[int, float]]:
    with store.snapshot() as snapshot:
        return [(hit.id, hit.score) for hit in snapshot.nearest(query, K, where)]


def nearest(vectors: np.ndarray, query: np.ndarray, among: np.ndarray) -> list[int]:
    return (among[np.argsort(-(vectors[among] @ query), kind="stable")[:K]] + 1).tolist()


def recall(store: Store, vectors: np.ndarray, among: np.ndarray, where: str | None = None) -> float:
    shares = []
    for query in vectors[::100] + 0.05 * np.random.default_rng(1).standard_normal(DIMENSION).astype(np.float32):
        ids = {id_ for id_, _ in found(store, query, where)}
        shares.append(len(ids & set(nearest(vectors, query, among))) / K)
    return float(np.mean(shares))


def saved(store: Store) -> Path:
    return store.folder / signs.FILE


def test_a_large_store_finds_nearly_all_and_scores_exactly(store, vectors):
    assert recall(store, vectors, np.arange(3000)) >= 0.95
    for id_, score in found(store, vectors[7]):
        assert score == pytest.approx(float(vectors[id_ - 1] @ vectors[7]), abs=1e-6)
    assert saved(store).is_file()


def test_a_condition_chooses_before_candidates_are_counted(store, vectors):
    parts = np.arange(3000) // 30 % 10
    assert recall(store, vectors, np.flatnonzero(parts == 3), "part = 3") >= 0.95
    few = np.flatnonzero(np.arange(3000) // 30 == 3)  # fewer than candidates: exact
    query = vectors[500]
    assert [id_ for id_, _ in found(store, query, "source = '3.txt'")] == nearest(vectors, query, few)


def test_what_is_removed_and_added_is_seen_at_once(store, vectors):
    query = vectors[0]
    assert found(store, query)[0][0] == 1
    with store.writing() as writer, writer.batch():
        writer.remove("0.txt")
    assert not {id_ for id_, _ in found(store, query)} & set(range(1, 31))
    with store.writing() as writer, writer.batch():
        put_vectors(writer, 0, vectors[:30])
    assert found(store, query)[0] == (3001, pytest.approx(1.0))
    assert found(Store.open(store.folder), query) == found(store, query)


def test_an_older_snapshot_keeps_its_passages(store, vectors):
    with store.snapshot() as before:
        with store.writing() as writer, writer.batch():
            writer.remove("0.txt")
        found(store, vectors[0])  # the newer generation is in memory now
        assert before.nearest(vectors[0], K)[0].id == 1


def test_the_next_process_reads_only_what_its_file_lacks(store, vectors, monkeypatch):
    found(store, vectors[0])
    with store.writing() as writer, writer.batch():
        put_vectors(writer, 100, vectors[:2])
    read: list[int] = []
    signs_of = signs.signs_of
    monkeypatch.setattr(signs, "signs_of", lambda block: (read.append(len(block)), signs_of(block))[1])
    assert found(Store.open(store.folder), vectors[0])[1] == (3001, pytest.approx(1.0))
    assert sum(read) < 2 + 3 * signs.COMPARED + 1  # the new ones, those compared, and the query


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(b"no archive"),
        lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
        lambda file: file.write_bytes(file.read_bytes().replace(file.read_bytes()[5000:5008], b"\xa5" * 8)),
        lambda file: np.savez(file, ids=np.arange(3), words=np.zeros((9, 3), np.uint64)),
        lambda file: np.savez(file, other=np.arange(3)),
    ],
)
def test_a_damaged_file_is_made_anew(store, vectors, spoil):
    expected = found(store, vectors[0])
    whole = saved(store).stat().st_size
    spoil(saved(store))
    assert found(Store.open(store.folder), vectors[0]) == expected
    assert saved(store).stat().st_size == whole


def test_another_stores_file_is_not_believed(store, vectors, tmp_path):
    expected = found(store, vectors[0])
    other = Store.create(tmp_path / "other", ENCODER)
    with other.writing() as writer, writer.batch():
        for number in range(100):
            put_vectors(writer, number, vectors[::-1][30 * number : 30 * number + 30])
    found(other, vectors[0])
    shutil.copy(saved(other), saved(store))
    assert found(Store.open(store.folder), vectors[0]) == expected


def test_a_database_put_back_and_changed_again_is_not_taken_for_its_later_self(store, vectors, tmp_path):
    """The same ids and generations then belong to other passages."""
    shutil.copytree(store.folder, tmp_path / "backup")
    with store.writing() as writer, writer.batch():
        put_vectors(writer, 100, vectors[:30])
    found(store, vectors[0])
    restored = Store.open(tmp_path / "backup")
    with restored.writing() as writer, writer.batch():
        put_vectors(writer, 100, -vectors[:30])
    shutil.copy(saved(store), saved(restored))
    assert found(restored, -vectors[4])[0] == (3005, pytest.approx(1.0))


def test_very_many_equal_passages_are_not_all_read(store, vectors):
    with store.writing() as writer, writer.batch():
        put_vectors(writer, 100, np.repeat(vectors[:1], 2000, axis=0))
    found(store, vectors[0])
    with store.snapshot() as snapshot:
        searched = store._searched
        assert isinstance(searched, signs.Signs)
        assert len(searched.candidates(vectors[0], K)) == 200
        assert len(snapshot.nearest(vectors[0], K)) == K


def test_more_than_the_usual_candidates_can_be_asked_for(store, vectors):
    with store.snapshot() as snapshot:
        assert len(snapshot.nearest(vectors[0], 5000)) == 3000


def test_a_store_may_grow_large_and_shrink_again(tmp_path):
    store = Store.create(tmp_path / "store", ENCODER)
    put(store, ENCODER, "a", *"bcdefghij")
    query = ENCODER.encode_queries(["c"])[0]
    assert found(store, query)[0][0] == 2
    put(store, ENCODER, "b", *(f"word{n}" for n in range(60)))
    assert found(store, query)[0][0] == 2
    with store.writing() as writer, writer.batch():
        writer.remove("b")
    assert found(store, query)[0][0] == 2
    assert len(found(store, query)) == 9


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_searched(store, vectors):
    store.folder.chmod(0o500)
    try:
        assert found(Store.open(store.folder), vectors[0])[0][0] == 1
    finally:
        store.folder.chmod(0o700)


def test_a_file_that_can_not_be_written_costs_no_answer(store, vectors):
    saved(store).mkdir()
    assert found(store, vectors[0])[0][0] == 1


def test_a_passage_without_vector_is_damage(store, vectors):
    connection = connect_to_write(store.folder)
    connection.execute("DELETE FROM vectors WHERE chunk = 5")
    connection.close()
    with pytest.raises(InputError, match="damaged"):
        found(store, vectors[0])
