"""Moving a store from one kind to another."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from r2ag.errors import InputError
from r2ag.store import AnyStore, StoredFile, copy_store, create_store, open_store
from r2ag.types import Document
from tests.hashing import HashingEncoder
from tests.store.conftest import put
from tests.store.kinds import KINDS, new_location


@pytest.fixture(autouse=True)
def _some_files_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("r2ag.store.locations.PASSAGES_AT_ONCE", 4)


def filled(location: str, encoder: HashingEncoder) -> AnyStore:
    store = create_store(location, encoder)
    for number in range(6):
        fields = {"team": "rëd", "year": 2019 + number, "size": 3.5}
        texts = [f"Passage {part} of {number}: 蜜蜂 'quoted' \\ {{}} %s" for part in range(3)]
        put(store, encoder, f"notes/{9 - number}.md", *texts, title="A title", section="S", place="page 3",
            modified=1.7e9 + number / 7, fields=fields)  # fmt: skip
    put(store, encoder, "empty.md")
    return store


def everything(store: AnyStore) -> tuple[object, ...]:
    """Files, passages in each one's order, and the bytes of their vectors."""
    with store.snapshot() as snapshot:
        files = snapshot.files()
        ids = [id_ for source in files for id_ in snapshot.ids(source)]
        assert sorted(ids) == sorted(snapshot.ids())
        return files, snapshot.documents(ids), snapshot.vectors(ids).tobytes()


@pytest.mark.parametrize(("source", "target"), [pair for pair in itertools.product(KINDS, KINDS) if pair[0] != pair[1]])
def test_nothing_is_lost_and_nothing_encoded(source, target, request, encoder):
    store = filled(new_location(source, request), encoder)
    location = new_location(target, request)
    encoder.encoded.clear()
    seen: list[tuple[object, ...]] = []
    report = copy_store(store, location, lambda *progress: seen.append(progress))
    copy = open_store(location)
    assert everything(copy) == everything(store)
    assert copy.encoder.same_as(store.encoder)
    assert (report.files, report.passages, report.copied) == (7, 18, 7)
    assert seen[-1] == ("Copying", 18, 18)
    assert encoder.encoded == []
    copy.check()
    with copy.snapshot() as snapshot:
        assert len(snapshot.matching("passage", 9, "team = 'rëd' and year >= 2024")) == 3
    again = copy_store(store, location)
    assert (again.copied, again.checksum) == (0, report.checksum)
    back = copy_store(copy, new_location("embedded", request))
    assert back.checksum == report.checksum


@pytest.mark.parametrize("target", KINDS)
def test_an_interrupted_copy_goes_on_where_it_was(target, request, encoder):
    store, location = filled(new_location("embedded", request), encoder), new_location(target, request)

    def interrupt(what: str, done: int, total: int) -> None:
        if done > 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_store(store, location, interrupt)
    done = open_store(location).info().files
    assert 0 < done < 7
    assert copy_store(store, location).copied == 7 - done
    assert everything(open_store(location)) == everything(store)


@pytest.mark.parametrize("target", KINDS)
def test_a_store_with_files_of_its_own_is_left_alone(target, request, encoder):
    store, location = filled(new_location("embedded", request), encoder), new_location(target, request)
    other = create_store(location, encoder)
    put(other, encoder, "strange.md", "Mine.")
    before = everything(other)
    with pytest.raises(InputError, match=r"holds other files, such as strange\.md; name a new store"):
        copy_store(store, location)
    assert everything(other) == before


def test_other_vectors_and_a_copy_that_differs_are_refused(request, encoder):
    store = filled(new_location("embedded", request), encoder)
    location = new_location("embedded", request)
    create_store(location, HashingEncoder("other"))
    with pytest.raises(InputError, match="holds vectors of the encoder other"):
        copy_store(store, location)
    location = new_location("embedded", request)
    copy_store(store, location)
    with store.snapshot() as snapshot:
        file = snapshot.files()["notes/9.md"]
    with open_store(location).writing() as writer, writer.batch():
        documents = [Document(f"Passage {part}") for part in range(3)]
        writer.put(StoredFile(**vars(file)), documents, np.ones((3, 64)))
    with pytest.raises(InputError, match=r"differs in notes/9\.md; remove it, and copy again"):
        copy_store(store, location)
