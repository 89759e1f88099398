"""Searching, snapshots, writers, and everything that may be wrong with a store."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r2ag.errors import InputError
from r2ag.store import Store, StoredFile, index_files, parse_where
from r2ag.store.database import connect_to_write
from r2ag.store.snapshot import Snapshot
from r2ag.types import Document
from tests.hashing import HashingEncoder
from tests.store.conftest import put

ENCODER = HashingEncoder(dimension=8)


@pytest.fixture
def store(tmp_path: Path, encoder: HashingEncoder) -> Store:
    store = Store.create(tmp_path / "store", encoder)
    put(store, encoder, "bridges", "The bridge was built in 1471.", "Bridges fall.", title="Bridges")
    put(store, encoder, "rivers", "The river runs.", section="Water", place="page 3")
    return store


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
    assert (info.files, info.documents, info.generation) == (3, 4, 3)
    assert (info.encoder, info.dimension, info.fields) == ("hashing", 64, {"team": 1})
    assert info.bytes_on_disk > 0


@pytest.mark.parametrize("name", ["", "1st", "title", "modified", "not", "AND", "a b", 'a"b', "a$", "x" * 65])
def test_metadata_that_no_condition_could_name(store, encoder, name):
    with pytest.raises(InputError, match="metadata field"):
        put(store, encoder, "x", "y", fields={name: "value"})


@given(st.text(max_size=12))
def test_metadata_is_taken_exactly_if_a_condition_can_name_it(name):
    from r2ag.store.writer import check_fields

    try:
        check_fields({name: 1})
        nameable = True
    except InputError:
        nameable = False
    try:
        condition = parse_where(f"{name} = 1")
        assert not nameable or condition.parameters[-1] == 1
    except InputError:
        assert not nameable


@pytest.mark.parametrize("vectors", [np.zeros((1, 63)), np.zeros((2, 64)), np.full((1, 64), np.nan)])
def test_vectors_that_do_not_fit(store, vectors):
    with pytest.raises(InputError, match="finite"), store.writing() as writer, writer.batch():
        writer.put(StoredFile("x", "", 1, 0.0, {}), [Document("y")], vectors)
    assert store.info().files == 2


# What may be wrong


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

    with pytest.raises(InputError, match=r"The store .* is damaged .*index the files again into a new folder"):
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
