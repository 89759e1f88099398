"""Searching, snapshots and writers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r2ag.errors import InputError
from r2ag.store import Store, StoredFile
from r2ag.store.store import Snapshot, passages_where
from r2ag.types import Document
from tests.hashing import HashingEncoder
from tests.store.conftest import put

ENCODER = HashingEncoder(dimension=8)


def texts(snapshot: Snapshot, question: str, k: int = 9) -> list[str]:
    return [document.text for document in snapshot.documents([hit.id for hit in snapshot.matching(question, k)])]


# Searching


@settings(max_examples=20)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from("abc"), st.lists(st.sampled_from("xyzuvw"), max_size=3)), min_size=1, max_size=8
    ),
    k=st.integers(1, 12),
)
def test_the_nearest_are_those_of_a_plain_search_whatever_was_changed_before(steps, k):
    with tempfile.TemporaryDirectory() as folder:
        kept = Store.create(Path(folder) / "store", ENCODER)
        model: dict[str, list[str]] = {}
        query = ENCODER.encode_queries(["x y"])[0]
        for source, words in steps:
            put(kept, ENCODER, source, *words)
            model.pop(source, None)  # a changed file's passages are new ones
            model[source] = words
            expected = [
                (word, float(ENCODER.encode_queries([word])[0] @ query)) for ws in model.values() for word in ws
            ]
            expected = sorted(expected, key=lambda pair: -pair[1])[:k]
            for store in (kept, Store.open(kept.folder)):
                with store.snapshot() as snapshot:
                    hits = snapshot.nearest(query, k)
                    assert [hit.score for hit in hits] == pytest.approx([score for _, score in expected], abs=1e-6)
                    found = [document.text for document in snapshot.documents([hit.id for hit in hits])]
                    vectors = snapshot.vectors([hit.id for hit in hits]).reshape(-1, 8)
                    assert np.array_equal(vectors, ENCODER.encode_queries(found))
        kept.check()


def test_documents_come_back_whole(store):
    with store.snapshot() as snapshot:
        (hit,) = snapshot.matching("river", 9)
        assert snapshot.documents([hit.id]) == (
            Document("The river runs.", source="rivers", section="Water", place="page 3"),
        )


def test_words_are_found_in_titles_and_by_their_stems(store):
    with store.snapshot() as snapshot:
        assert texts(snapshot, "Which BRIDGE fell, falls or is falling?")[0] == "Bridges fall."
        assert texts(snapshot, "running?") == ["The river runs."]
        assert len(texts(snapshot, "the", k=1)) == 1
        assert texts(snapshot, "nothing of this") == []


def test_chinese_is_found_by_pairs_of_characters(store, encoder):
    put(store, encoder, "bees", "蜜蜂用舞蹈告诉同伴花在哪里。", "花与蜂。", "密蜂")
    with store.snapshot() as snapshot:
        assert texts(snapshot, "蜜蜂在哪里") == ["蜜蜂用舞蹈告诉同伴花在哪里。"]
        assert texts(snapshot, "与") == ["花与蜂。"]


@given(st.text(max_size=80) | st.text(alphabet='ab"*()^:-+{}~ANDORNT._\0', max_size=40))
def test_no_question_is_syntax(sound, question):
    with sound.snapshot() as snapshot:
        assert set(texts(snapshot, question)) <= {"AND a b near", "OR NOT title"}
        words = "".join(c if c.isalnum() else " " for c in question.lower()).split()
        if "near" in words:
            assert "AND a b near" in texts(snapshot, question)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store.create(tmp_path_factory.mktemp("store") / "store", ENCODER)
    put(store, ENCODER, "syntax", "AND a b near", "OR NOT title")
    return store


def test_a_question_of_very_many_words(store):
    with store.snapshot() as snapshot:
        assert texts(snapshot, "river " + " ".join(f"word{number}" for number in range(3000))) == ["The river runs."]


@pytest.mark.parametrize("text", ["NUL \0 byte", "half \ud800 character", "שלום", "'; DROP TABLE files; --", ""])
def test_odd_texts_come_back(store, encoder, text):
    put(store, encoder, f"odd {text}", f"oddity {text}", title=text)
    with store.snapshot() as snapshot:
        (document,) = snapshot.documents([hit.id for hit in snapshot.matching("oddity", 9)])
    assert document.text == f"oddity {text}".encode("utf-8", "backslashreplace").decode()
    with store.writing() as writer, writer.batch():
        writer.remove(f"odd {text}")
    store.check()


# Snapshots and writers


def test_a_store_that_is_made_anew_in_its_place_is_another(store, encoder):
    query = encoder.encode_queries(["The canal stands."])[0]
    with store.snapshot() as snapshot:
        assert snapshot.nearest(query, 1)[0].score < 0.9
    shutil.rmtree(store.folder)
    again = Store.create(store.folder, encoder)
    put(again, encoder, "bridges", "The bridge was built in 1471.", "The canal stands.")
    put(again, encoder, "rivers", "The river runs.")
    with store.snapshot() as snapshot:
        (hit,) = snapshot.nearest(query, 1)
        assert hit.score == pytest.approx(1)
        assert snapshot.documents([hit.id])[0].text == "The canal stands."


def test_a_folder_whose_name_is_not_utf_8(tmp_path, encoder):
    store = Store.create(tmp_path / os.fsdecode(b"caf\xe9"), encoder)
    put(store, encoder, "rivers", "The river runs.")
    with Store.open(store.folder).snapshot() as snapshot:
        assert texts(snapshot, "river") == ["The river runs."]


def test_a_snapshot_does_not_change(store, encoder):
    query = encoder.encode_queries(["The river runs."])[0]
    with store.snapshot() as before:
        put(store, encoder, "rivers", "The canal stands.")
        with store.snapshot() as after:
            assert texts(after, "canal river") == ["The canal stands."]
            assert after.nearest(query, 1)[0].score < 0.9
        assert texts(before, "canal river") == ["The river runs."]
        (hit,) = before.nearest(query, 1)
        assert hit.score == pytest.approx(1)
        assert before.documents([hit.id])[0].text == "The river runs."


def test_readers_see_whole_states_while_one_writes(store, encoder):
    done: list[Exception | None] = []

    def write() -> None:
        try:
            for version in range(30):
                with store.writing() as writer, writer.batch():
                    for source in ("bridges", "rivers"):
                        documents = [Document(f"version {version} {source}")] * 3
                        writer.put(StoredFile(source, "", 1, 0.0, {}), documents, encoder.encode_documents(documents))
            done.append(None)
        except Exception as error:
            done.append(error)

    Thread(target=write).start()
    query = encoder.encode_queries(["version"])[0]
    while not done:
        with store.snapshot() as snapshot:
            ids = [hit.id for hit in snapshot.nearest(query, 99)]
            documents = snapshot.documents(ids)
            assert len({document.text.split()[1] for document in documents}) in (1, 3)  # 3: as in the fixture
            assert len(documents) in (3, 6)
            assert np.array_equal(snapshot.vectors(ids), encoder.encode_documents(documents))
    assert done == [None]


HOLDER = """
import sys, time
from r2ag.store import Store
with Store.open(sys.argv[1]).writing():
    print("holding", flush=True)
    time.sleep(60)
"""


def test_one_process_writes_and_its_right_dies_with_it(store, encoder):
    process = subprocess.Popen([sys.executable, "-c", HOLDER, store.folder], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    for change in (lambda: put(store, encoder, "x", "y"), store.compact, lambda: Store.create(store.folder, encoder)):
        with pytest.raises(InputError, match="Another process is writing the store"):
            change()
    with store.snapshot() as snapshot:
        assert len(texts(snapshot, "river")) == 1
    process.kill()
    process.communicate()
    put(store, encoder, "x", "y")


def test_two_writers_in_one_process(store):
    with store.writing(), pytest.raises(InputError, match="Another process is writing"), store.writing():
        pass


def test_compacting_gives_room_back_and_keeps_the_rest(store, encoder):
    put(store, encoder, "long", *(f"a word {number}" for number in range(3000)))
    with store.writing() as writer, writer.batch():
        writer.remove("long")
    before = store.info().bytes_on_disk
    store.compact()
    assert store.info().bytes_on_disk < before / 2
    store.check()
    with store.snapshot() as snapshot:
        assert texts(snapshot, "river") == ["The river runs."]


def test_what_a_store_tells_of_itself(store, encoder):
    put(store, encoder, "x", "y", fields={"team": "a"})
    info = store.info()
    assert (info.files, info.documents) == (3, 4)
    assert (info.encoder, info.dimension, info.fields) == ("hashing", 64, {"team": 1})
    assert info.bytes_on_disk > 0


@pytest.mark.parametrize("name", ["", "1st", "title", "modified", "not", "AND", "a b", 'a"b', "a$", "x" * 65])
def test_metadata_that_no_condition_could_name(store, encoder, name):
    with pytest.raises(InputError, match="metadata field"):
        put(store, encoder, "x", "y", fields={name: "value"})


@given(st.text(max_size=12))
def test_metadata_is_taken_exactly_if_a_condition_can_name_it(name):
    from r2ag.store.where import check_fields

    try:
        check_fields({name: 1})
        nameable = True
    except InputError:
        nameable = False
    try:
        condition = passages_where(f"{name} = 1")
        assert not nameable or condition.parameters[-1] == 1
    except InputError:
        assert not nameable


@pytest.mark.parametrize("vectors", [np.zeros((1, 63)), np.zeros((2, 64)), np.full((1, 64), np.nan)])
def test_vectors_that_do_not_fit(store, vectors):
    with pytest.raises(InputError, match="finite"), store.writing() as writer, writer.batch():
        writer.put(StoredFile("x", "", 1, 0.0, {}), [Document("y")], vectors)
    assert store.info().files == 2
