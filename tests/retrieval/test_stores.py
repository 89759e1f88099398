from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2ag.errors import InputError
from r2ag.retrieval import BM25Finder, DenseFinder, Finder, Found, HybridFinder, fuse
from r2ag.store import AnyStore, Hit, create_store
from tests.hashing import HashingEncoder
from tests.store.conftest import put
from tests.store.kinds import KINDS, new_location, postgres, qdrant

__all__ = ["postgres", "qdrant"]

TEXTS = ("The bridge was built.", "A river runs under the bridge.", "The mason built a town.", "Bees dance.")


@pytest.fixture(scope="module")
def encoder() -> HashingEncoder:
    return HashingEncoder()


@pytest.fixture(scope="module", params=KINDS)
def store(request: pytest.FixtureRequest, encoder: HashingEncoder) -> AnyStore:
    store = create_store(new_location(request.param, request), encoder)
    for number, text in enumerate(TEXTS):
        put(store, encoder, f"{number}.md", text, fields={"number": number})
    return store


@pytest.fixture(scope="module")
def finders(store: AnyStore, encoder: HashingEncoder) -> dict[str, Finder]:
    return {"dense": DenseFinder(store, encoder), "bm25": BM25Finder(store), "hybrid": HybridFinder(store, encoder)}


def texts(found: Found) -> list[str]:
    return [document.text for document in found.documents]


@pytest.mark.parametrize("name", ["dense", "bm25", "hybrid"])
def test_the_document_with_the_questions_words_comes_first_with_its_vector(finders, store, encoder, name):
    found = finders[name].find("the mason built a town.", 2)
    assert texts(found)[0] == TEXTS[2]
    assert len(found) == 2
    assert list(found.scores) == sorted(found.scores, reverse=True)
    assert found.vectors == pytest.approx(encoder.encode_documents(found.documents))
    assert found.encoder is store.encoder


@pytest.mark.parametrize("name", ["dense", "bm25", "hybrid"])
def test_conditions_hold_in_every_way_of_finding(finders, name):
    found = finders[name].find("the bridge", 9, "number in (1, 3)")
    assert texts(found)[0] == TEXTS[1]
    assert set(texts(found)) <= {TEXTS[1], TEXTS[3]}
    assert len(finders[name].find("the bridge", 9, "number > 99")) == 0
    with pytest.raises(InputError, match="--where"):
        finders[name].find("the bridge", 9, "number")


def test_words_that_no_document_has(finders):
    assert len(finders["bm25"].find("?!", 9)) == 0
    assert len(finders["hybrid"].find("?!", 9)) == 4


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_store(kind: str, request: pytest.FixtureRequest, encoder: HashingEncoder) -> None:
    store = create_store(new_location(kind, request), encoder)
    for finder in (DenseFinder(store, encoder), BM25Finder(store), HybridFinder(store, encoder)):
        with pytest.raises(InputError, match="is empty; index some files with: r2ag index PATH --store"):
            finder.find("the bridge", 9)


@pytest.mark.parametrize("kind", [DenseFinder, HybridFinder])
def test_another_encoder_finds_nothing_in_a_store(store, kind):
    with pytest.raises(InputError, match=r"holds vectors of the encoder hashing .* and other gives others"):
        kind(store, HashingEncoder("other"))


def test_fusion_by_hand():
    first = [Hit(1, 9.0), Hit(2, 8.0)]
    second = [Hit(2, 0.5), Hit(3, 0.1), Hit(1, 0.0)]
    assert fuse([first, second]) == [Hit(2, 1 / 62 + 1 / 61), Hit(1, 1 / 61 + 1 / 63), Hit(3, 1 / 62)]


_RANKINGS = st.lists(st.lists(st.integers(0, 9), unique=True), max_size=3)


@given(_RANKINGS)
def test_fusion_forgets_no_one_and_the_unanimous_first_stays_first(rankings):
    fused = fuse([[Hit(id_, 0.0) for id_ in ranking] for ranking in rankings])
    assert {hit.id for hit in fused} == {id_ for ranking in rankings for id_ in ranking}
    assert [hit.score for hit in fused] == sorted((hit.score for hit in fused), reverse=True)
    if rankings and all(rankings) and len({ranking[0] for ranking in rankings}) == 1:
        assert fused[0].id == rankings[0][0]
