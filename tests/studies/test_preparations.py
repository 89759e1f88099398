from __future__ import annotations

import numpy as np
import pytest

from r2ag.encoder.encoder import rank_by_similarity
from r2ag.studies.base import Preparation, Setting
from r2ag.studies.preparations import NO_GOLD, distractors, gold_at, noised, scored, with_finder_scores
from r2ag.types import Document, RankedList, Record

SETTING = Setting(seed=0, vectors=None)


def ranked(question: str, *relevant: int, count: int = 5) -> RankedList:
    """Documents of falling similarity to the question, named by their places, in an order that is not theirs."""
    documents = tuple(Document(f"{question} {i}", relevant=i in relevant) for i in range(count))
    angles = np.linspace(0.1, 1.2, count)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    order = list(range(count))[::-1]
    return RankedList(question, documents, np.array([1, 0], dtype=np.float32), vectors).reordered(order)


def order(preparation: Preparation, one: RankedList) -> str:
    """The places of its documents by similarity, as they stand after the preparation."""
    (found,) = preparation.apply([one], SETTING)
    return "".join(document.text[-1] for document in found.documents)


@pytest.mark.parametrize(
    ("relevant", "place", "expected"),
    [((0,), 1, "01234"), ((0,), 3, "12034"), ((0, 3), 3, "12034"), ((0, 3), 2, "10324"), ((2,), 9, "01342")],
)
def test_gold_documents_moved(relevant: tuple[int, ...], place: int, expected: str) -> None:
    assert order(gold_at(place), ranked("q", *relevant)) == expected


def test_gold_documents_taken_out() -> None:
    assert order(NO_GOLD, ranked("q", 0, 3)) == "124"
    assert order(NO_GOLD, ranked("q", 0, 1, count=2)) == "01"  # nothing else is there to read


def test_distractors_come_from_other_questions_and_count_as_irrelevant() -> None:
    lists = [ranked("a", 0), ranked("b", 0), ranked("a", 0)]
    found = distractors(2).apply(lists, SETTING)
    for before, after in zip(lists, found, strict=True):
        new = [d for d in after.documents if d.text not in {old.text for old in before.documents}]
        assert len(new) == 2
        assert not any(document.relevant for document in new)
        assert all(document.text[0] != before.question for document in new)
        assert {document.text[-1] for document in new} == {"0", "1"}  # the nearest
        assert after.documents == rank_by_similarity(after).documents
        assert after.document_vectors.shape == (7, 2)
    assert found[0].documents == distractors(2).apply(lists, SETTING)[0].documents


def test_no_list_gets_longer_than_adapters_take() -> None:
    lists = [ranked("a", 0, count=30), ranked("b", 0, count=30)]
    assert [len(one) for one in distractors(10).apply(lists, SETTING)] == [32, 32]


def test_noise_moves_vectors_and_keeps_their_lengths() -> None:
    one = ranked("q", 0)
    one = RankedList(one.question, one.documents, one.query_vector, 3 * one.document_vectors)
    (found,) = noised(0.5).apply([one], SETTING)
    lengths = np.linalg.norm(found.document_vectors, axis=1)
    assert lengths == pytest.approx([3.0] * 5, rel=1e-5)
    by_text = {d.text: v for d, v in zip(one.documents, one.document_vectors, strict=True)}
    moved = [np.linalg.norm(v - by_text[d.text]) for d, v in zip(found.documents, found.document_vectors, strict=True)]
    assert min(moved) > 0
    assert noised(0.5).altered
    again, other = (noised(0.5).apply([one], Setting(seed, None))[0].document_vectors for seed in (0, 1))
    assert np.array_equal(again, found.document_vectors)
    assert not np.array_equal(other, found.document_vectors)


def test_documents_bear_what_a_finder_says_of_them() -> None:
    documents = (Document("The bridge fell.", scores={"ours": 1.0}), Document("A river."))
    (found,) = scored([Record("1", "Which bridge?", (), documents)], "bm25")
    bridge, river = found.documents
    assert bridge.scores["ours"] == 1.0
    assert bridge.scores["bm25"] > river.scores["bm25"] == 0
    one = RankedList("Which bridge?", documents, np.zeros(2, np.float32), np.zeros((2, 2), np.float32))
    (listed,) = with_finder_scores("bm25").apply([one], SETTING)
    assert listed.documents == found.documents
