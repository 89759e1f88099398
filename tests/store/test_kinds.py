"""What all kinds of stores do alike: the same passages are found, and what can't be used is refused.

Those with transactions also show whole states and refuse a second writer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest

from r2ag.encoder.probe import Probe
from r2ag.errors import InputError
from r2ag.pipeline import Pipeline
from r2ag.retrieval import BM25Finder
from r2ag.store import AnyStore, StoredFile, create_store, open_store
from r2ag.store.locations import _need
from r2ag.types import Document
from tests.hashing import HashingEncoder
from tests.store.conftest import put
from tests.store.kinds import KINDS, REMOTE_KINDS, TRANSACTIONAL_KINDS, new_location
from tests.test_pipeline import new_pipeline

WORDS = [
    f"{first}{second}" for first in ("bridg", "riv", "mas", "tow") for second in ("um", "an", "or", "il", "ut", "ak")
]
OFTEN = np.arange(1, len(WORDS) + 1) ** -1.0 / sum(np.arange(1, len(WORDS) + 1) ** -1.0)


def passages(count: int) -> list[Document]:
    """Texts of a few words, some of which are more frequent than others."""
    chance = np.random.default_rng(0)
    return [
        Document(" ".join(chance.choice(WORDS, chance.integers(4, 24), p=OFTEN)), section=f"part {number % 5}")
        for number in range(count)
    ]


def filled(location: str, encoder: HashingEncoder) -> AnyStore:
    store = create_store(location, encoder)
    documents = passages(240)
    with store.writing() as writer, writer.batch():
        for number in range(12):
            part = documents[number * 20 : number * 20 + 20]
            file = StoredFile(f"{number}.md", "digest", 1, float(number), {"number": number})
            writer.put(file, part, encoder.encode_documents(part))
    return store


@pytest.fixture(scope="module")
def reference(request: pytest.FixtureRequest) -> AnyStore:
    return filled(new_location("embedded", request), HashingEncoder())


@pytest.fixture(scope="module", params=REMOTE_KINDS)
def other(request: pytest.FixtureRequest) -> AnyStore:
    return filled(new_location(request.param, request), HashingEncoder())


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, encoder: HashingEncoder) -> AnyStore:
    return small(new_location(request.param, request), encoder)


@pytest.fixture(params=TRANSACTIONAL_KINDS)
def transactional(request: pytest.FixtureRequest, encoder: HashingEncoder) -> AnyStore:
    return small(new_location(request.param, request), encoder)


def small(location: str, encoder: HashingEncoder) -> AnyStore:
    store = create_store(location, encoder)
    put(store, encoder, "bridges", "The bridge was built in 1471.", "Bridges fall.", title="Bridges")
    put(store, encoder, "rivers", "The river runs.", section="Water", place="page 3", fields={"year": 2024})
    return store


def texts(store: AnyStore, question: str, k: int = 9) -> list[str]:
    with store.snapshot() as snapshot:
        return [document.text for document in snapshot.documents([hit.id for hit in snapshot.matching(question, k)])]


QUESTIONS = [f"the {first} and the {second}" for first, second in zip(WORDS[4:], WORDS[9:], strict=False)]


@pytest.mark.parametrize("where", [None, "number >= 3 and section != 'part 2' and not source like '1%'"])
def test_the_nearest_ten_are_the_same_in_every_kind(reference, other, where):
    encoder = HashingEncoder()
    for vector in encoder.encode_queries(QUESTIONS):
        with reference.snapshot() as expected, other.snapshot() as found:
            ours, theirs = expected.nearest(vector, 10, where), found.nearest(vector, 10, where)
            assert [hit.score for hit in theirs] == pytest.approx([hit.score for hit in ours], abs=1e-6)
            # Passages of one score may stand in any order, so they are compared with those that tie with the last.
            ties = [hit for hit in expected.nearest(vector, 240, where) if hit.score >= ours[-1].score - 1e-6]
            near = {document.text for document in expected.documents([hit.id for hit in ties])}
            assert {document.text for document in found.documents([hit.id for hit in theirs])} <= near
            assert np.array_equal(
                np.sort(found.vectors([hit.id for hit in theirs]) @ vector),
                np.sort(expected.vectors([hit.id for hit in ours]) @ vector),
            )


def test_words_are_ranked_nearly_as_in_the_embedded_store(reference, other):
    shared = 0
    for question in QUESTIONS:
        first, second = texts(reference, question, 10), texts(other, question, 10)
        assert len(first) == len(second) == 10
        shared += len(set(first) & set(second))
    assert shared / (10 * len(QUESTIONS)) >= 0.8


def test_documents_come_back_whole(store):
    with store.snapshot() as snapshot:
        (hit,) = snapshot.matching("river", 9)
        assert snapshot.documents([hit.id]) == (
            Document("The river runs.", source="rivers", section="Water", place="page 3"),
        )
        assert snapshot.ids("rivers") == [hit.id]
        assert len(snapshot.ids()) == len(snapshot) == 3
        assert snapshot.files()["rivers"] == StoredFile("rivers", "digest", 1, 0.0, {"year": 2024})


def test_words_are_found_in_titles_and_by_their_stems(store, encoder):
    assert texts(store, "Which BRIDGE fell, falls or is falling?")[0] == "Bridges fall."
    assert texts(store, "running?") == ["The river runs."]
    assert len(texts(store, "the", k=1)) == 1
    assert texts(store, "nothing of this") == texts(store, "?!") == []
    put(store, encoder, "bees", "蜜蜂用舞蹈告诉同伴花在哪里。", "花与蜂。", "密蜂", "Un café crème.")
    assert texts(store, "蜜蜂在哪里") == ["蜜蜂用舞蹈告诉同伴花在哪里。"]
    assert texts(store, "CAFE") == ["Un café crème."]


@pytest.mark.parametrize(
    "text", ["", "\ud800 half", "'); DROP TABLE files; --", "%s {} \\ ' \" | & ! :*", "x" * 30_000]
)
def test_any_text_and_name_is_kept(store, encoder, text):
    put(store, encoder, f"{text}.md", text, title=text, fields={"team": text[:900]})
    stored = text.encode("utf-8", "backslashreplace").decode()
    with store.snapshot() as snapshot:
        (document,) = snapshot.documents(snapshot.ids(f"{stored}.md"))
        assert (document.text, document.title) == (stored, stored)
    texts(store, text)
    store.check()


def test_a_reader_sees_one_state_while_files_are_changed(transactional, encoder):
    with transactional.snapshot() as before:
        ids = before.ids()
        put(transactional, encoder, "rivers", "A ferry runs now.")
        put(transactional, encoder, "towns", "The town sleeps.")
        assert before.ids() == ids
        assert [document.text for document in before.documents(ids)][-1] == "The river runs."
        assert len(before.nearest(encoder.encode_queries(["ferry"])[0], 99)) == 3
        assert before.matching("ferry", 9) == []
    assert texts(transactional, "ferry") == ["A ferry runs now."]
    assert texts(transactional, "river") == []


def test_nobody_sees_a_batch_before_its_end(transactional, encoder):
    begun, may_end = Event(), Event()

    def change() -> None:
        documents = [Document(f"Part {number} of the river.") for number in range(300)]
        with transactional.writing() as writer, writer.batch():
            writer.remove("bridges")
            writer.put(StoredFile("rivers", "d", 1, 1.0, {}), documents, encoder.encode_documents(documents))
            begun.set()
            may_end.wait(60)

    changing = Thread(target=change)
    changing.start()
    assert begun.wait(60)
    try:
        assert texts(transactional, "river") == ["The river runs."]
        assert len(texts(transactional, "bridge")) == 2
        with pytest.raises(InputError, match="Another process is writing the store"), transactional.writing():
            pass
    finally:
        may_end.set()
        changing.join()
    with transactional.snapshot() as snapshot:
        assert (len(snapshot), sorted(snapshot.files())) == (300, ["rivers"])
    transactional.check()


def test_a_batch_that_fails_leaves_nothing(transactional, encoder):
    def fail() -> None:
        with transactional.writing() as writer, writer.batch():
            writer.remove("rivers")
            writer.put(StoredFile("new", "d", 1, 1.0, {}), [Document("New.")], encoder.encode_queries(["new"]))
            writer.put(StoredFile("bridges", "d", 1, 1.0, {}), [Document("x")], np.full((1, 64), np.nan))

    with pytest.raises(InputError, match="need finite numbers"):
        fail()
    with transactional.snapshot() as snapshot:
        assert (len(snapshot), sorted(snapshot.files())) == (3, ["bridges", "rivers"])
    transactional.check()


def test_several_changes_of_a_file_in_one_batch(store, encoder):
    def document(text: str) -> tuple[list[Document], np.ndarray]:
        return [Document(text)], encoder.encode_queries([text])

    with store.writing() as writer, writer.batch():
        writer.put(StoredFile("a", "1", 1, 1.0, {}), *document("first ferry"))
        writer.put(StoredFile("a", "2", 1, 1.0, {}), *document("second ferry"))
        writer.describe(StoredFile("a", "2", 1, 2.0, {"team": "red"}))
        writer.put(StoredFile("b", "1", 1, 1.0, {}), *document("third ferry"))
        writer.remove("b")
        writer.describe(StoredFile("nowhere", "1", 1, 1.0, {}))
    assert texts(store, "ferry") == ["second ferry"]
    with store.snapshot() as snapshot:
        assert snapshot.files()["a"] == StoredFile("a", "2", 1, 2.0, {"team": "red"})
        assert len(snapshot.matching("ferry", 9, "team = red and modified > 1970-01-01")) == 0
        assert len(snapshot.matching("ferry", 9, "team = red")) == 1
        assert sorted(snapshot.files()) == ["a", "bridges", "rivers"]
    store.check()


def test_what_a_store_says_of_itself(store):
    info = store.info()
    assert (info.name, info.files, info.documents, info.dimension) == (store.name, 2, 3, 64)
    assert (info.encoder, info.fields, info.format_version) == ("hashing", {"year": 1}, store.FORMAT_VERSION)
    assert "pa55" not in store.name


def test_another_encoder(request, encoder):
    for kind in KINDS:
        location = new_location(kind, request)
        create_store(location, encoder)
        for another in (HashingEncoder("other"), HashingEncoder(dimension=32)):
            with pytest.raises(InputError, match="holds vectors of the encoder hashing"):
                create_store(location, another)
        assert create_store(location, Probe.of(encoder)).encoder.same_as(Probe.of(encoder))


@pytest.mark.parametrize("kind", KINDS)
def test_no_store(kind, request):
    with pytest.raises(InputError, match=r"There is no store in .*; make one with: r2ag index PATH --store") as refused:
        open_store(new_location(kind, request))
    assert "pa55" not in str(refused.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pipeline_asks_any_store(kind, request):
    pipeline: Pipeline = new_pipeline()
    store = create_store(new_location(kind, request), pipeline.encoder)
    documents = [Document(f"The {word} was built.", source=word) for word in WORDS[:6]]
    with store.writing() as writer, writer.batch():
        for document in documents:
            file = StoredFile(document.source, "d", 1, 0.0, {})
            writer.put(file, [document], pipeline.encoder.encode_documents([document]))
    pipeline.use(store)
    assert len(pipeline.find("Which bridge?", k=3).ranked.documents) == 3
    pipeline.use(BM25Finder(store))
    (found,) = pipeline.find(f"Which {WORDS[3]}?", k=3).ranked.documents
    assert found.source == WORDS[3]


@pytest.mark.parametrize("kind", KINDS)
def test_a_closed_store_says_so_in_one_sentence(kind, request, encoder):
    location = new_location(kind, request)
    with create_store(location, encoder) as store:
        put(store, encoder, "rivers", "The river runs.")
        assert texts(store, "river") == ["The river runs."]
    uses = (lambda: texts(store, "river"), lambda: put(store, encoder, "towns", "No."), store.info, store.check)
    for use in uses:
        with pytest.raises(InputError, match=r"^The store [^ ]* is closed; open it again\.$"):
            use()
    store.close()  # again does no harm
    assert open_store(location).info().files == 1


@pytest.mark.parametrize("kind", TRANSACTIONAL_KINDS)
def test_no_file_descriptor_of_a_closed_store_stays_open(kind, request, encoder):
    location = new_location(kind, request)
    create_store(location, encoder).close()
    before = open_descriptors()
    with open_store(location) as store, store.snapshot() as snapshot, store.snapshot():
        put(store, encoder, "rivers", "The river runs.")
        assert len(snapshot) == 0
        assert open_descriptors() > before
    assert open_descriptors() == before
    with store_that_is_used_while_it_is_closed(location) as store:
        assert open_descriptors() > before
    assert open_descriptors() == before
    with pytest.raises(InputError, match="There is no store in"):
        open_store(new_location(kind, request))
    assert open_descriptors() == before
    with pytest.raises(InputError, match="holds vectors of the encoder hashing"):
        create_store(location, HashingEncoder("other"))
    assert open_descriptors() == before


def open_descriptors() -> int:
    """How many files and sockets this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


@contextmanager
def store_that_is_used_while_it_is_closed(location: str) -> Iterator[AnyStore]:
    store = open_store(location)
    with store.snapshot() as snapshot:
        store.close()
        assert len(snapshot) == 1
        yield store


def test_addresses_of_nothing_that_is_known():
    for location in ("mysql://host/db", "http://localhost:6333/notes", "qdrant://localhost/notes"):
        with pytest.raises(InputError, match=r"--store names a folder, postgresql://.* begins with"):
            open_store(location)
    with pytest.raises(InputError, match=r"needs no-such-package; install with: pip install 'r2ag\[qdrant\]'"):
        _need("qdrant", "Qdrant", ("numpy", "no_such_package"))
