from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from r2ag.encoder.encoder import rank_by_similarity
from r2ag.errors import InputError
from r2ag.training.config import TrainingConfig
from r2ag.training.lists import ListSampler, TrainingList, TrainingLists
from r2ag.types import Document
from tests.training.conftest import RECORDS, described, record

DRAWS = 400


@pytest.fixture(scope="module")
def records():
    return described(RECORDS)


def sampler(records: list[Any], most_allowed: int = 8, **changes: Any) -> ListSampler:
    plain = TrainingConfig(most_documents=6, long_lists=0.0, without_relevant=0.0)
    return ListSampler(records, replace(plain, **changes), max_documents=most_allowed)


def draw_many(drawing: ListSampler) -> list[tuple[int, TrainingList]]:
    """Record indices and lists."""
    count = len(drawing.records)
    return [(number % count, drawing.draw(number % count, number // count)) for number in range(DRAWS)]


def lengths(drawing: ListSampler) -> set[int]:
    return {len(drawn.ranked) for _, drawn in draw_many(drawing)}


def same(one: TrainingList, other: TrainingList) -> bool:
    vectors = (one.ranked.document_vectors, other.ranked.document_vectors)
    return one.ranked.documents == other.ranked.documents and np.array_equal(*vectors) and one.answer == other.answer


def test_equal_arguments_draw_equal_lists(records):
    drawing, again = sampler(records), sampler(records)
    assert all(same(drawing.draw(i, epoch), again.draw(i, epoch)) for i in range(40) for epoch in (0, 1))
    for changed in (drawing.draw(3, 1), sampler(records, seed=1).draw(3, 0)):
        assert not same(drawing.draw(3, 0), changed)


def test_the_number_of_documents_is_within_its_range(records):
    assert lengths(sampler(records)) == set(range(1, 7))
    assert lengths(sampler(records, fewest_documents=3, most_documents=5)) == {3, 4, 5}
    assert lengths(sampler(records, long_lists=1.0)) == {6, 7, 8}
    assert lengths(sampler(records, long_lists=0.5)) == set(range(1, 9))
    assert all(len(sampler(records).draw(0, "any", k).ranked) == k for k in range(1, 9))


@pytest.mark.parametrize("long_lists", [0.0, 1.0])
def test_an_adapter_for_few_documents_bounds_the_lists(records, long_lists):
    assert max(lengths(sampler(records, 3, most_documents=10, long_lists=long_lists))) == 3
    assert lengths(sampler(records, 3, fewest_documents=5, long_lists=long_lists)) == {3}


def test_lists_lose_distractors_until_they_fit_but_for_the_long_ones(records):
    config = TrainingConfig(most_documents=6, long_lists=0.5, without_relevant=0.0)
    drawing = ListSampler(records, config, max_documents=8, fits=lambda ranked: len(ranked) <= 3)
    drawn = [one.ranked for _, one in draw_many(drawing)]
    assert {len(ranked) for ranked in drawn} == {1, 2, 3, 6, 7, 8}
    assert all(sum(bool(document.relevant) for document in ranked.documents) == 1 for ranked in drawn)
    assert len(drawing.draw(0, "any", 5).ranked) == 5


def test_filled_lists_hold_each_passage_once_and_no_filler_is_relevant(records):
    filled = [(index, drawn) for index, drawn in draw_many(sampler(records)) if len(drawn.ranked) > 4]
    assert filled
    for index, drawn in filled:
        passages = [document.passage for document in drawn.ranked.documents]
        assert len(set(passages)) == len(passages)
        assert set(records[index].ranked.documents) <= set(drawn.ranked.documents)
        assert [d.passage for d in drawn.ranked.documents if d.relevant] == [RECORDS[index].documents[0].passage]


def test_documents_keep_their_vectors(records):
    vectors = {
        document.passage: vector
        for one in records
        for document, vector in zip(one.ranked.documents, one.ranked.document_vectors, strict=True)
    }
    for index, drawn in draw_many(sampler(records)):
        assert drawn.ranked.question == RECORDS[index].question
        assert np.array_equal(drawn.ranked.query_vector, records[index].ranked.query_vector)
        for document, vector in zip(drawn.ranked.documents, drawn.ranked.document_vectors, strict=True):
            assert np.array_equal(vector, vectors[document.passage])


def test_the_relevant_document_is_there_and_its_answer_with_it(records):
    for index, drawn in draw_many(sampler(records)):
        assert sum(bool(document.relevant) for document in drawn.ranked.documents) == 1
        assert drawn.answer == str(1400 + index)


def test_lists_without_relevant_documents_have_no_answer(records):
    drawn = [one for _, one in draw_many(sampler(records, without_relevant=0.5))]
    without = [one for one in drawn if not any(document.relevant for document in one.ranked.documents)]
    assert 0.4 * DRAWS < len(without) < 0.6 * DRAWS
    assert all(one.answer is None for one in without)
    assert sum(one.answer is None for one in drawn) == len(without)
    assert {len(one.ranked) for one in without} == set(range(1, 7))


def test_records_without_relevant_documents_have_no_answer():
    known = [replace(document, relevant=False) for document in RECORDS[0].documents]
    (one,) = described([replace(RECORDS[0], documents=tuple(known))])
    assert sampler([one]).draw(0, 0).answer is None


def test_a_record_of_relevant_documents_only_can_lose_them_all(records):
    only = described([replace(RECORDS[20], documents=(Document("It was built in 1420.", relevant=True),))])
    drawn = sampler([*records, *only], without_relevant=1.0).draw(40, 0, 3)
    assert len(drawn.ranked) == 3
    assert not any(document.relevant for document in drawn.ranked.documents)


def test_orders(records):
    def share_ranked(order: str) -> float:
        drawn = [one.ranked for _, one in draw_many(sampler(records, order=order, fewest_documents=4))]
        return float(np.mean([ranked.documents == rank_by_similarity(ranked).documents for ranked in drawn]))

    assert share_ranked("encoder") == 1.0
    assert share_ranked("shuffled") < 0.1
    assert 0.4 < share_ranked("mixed") < 0.65


def test_near_distractors_are_likelier_than_far_ones():
    (one,) = described([record(0, documents=20)])
    nearness = {
        d.passage: float(v @ one.ranked.query_vector)
        for d, v in zip(one.ranked.documents, one.ranked.document_vectors, strict=True)
        if not d.relevant
    }
    lists = [many.ranked for _, many in draw_many(sampler([one]))]
    drawn = [document.passage for ranked in lists for document in ranked.documents if not document.relevant]
    assert np.mean([nearness[passage] for passage in drawn]) > np.mean(list(nearness.values()))
    assert len(set(drawn)) > 10


def test_features_are_dropped_in_their_share_of_lists(records):
    dropped = sum(drawn.drop_features for _, drawn in draw_many(sampler(records, feature_dropout=0.25)))
    assert 0.15 * DRAWS < dropped < 0.35 * DRAWS
    assert not any(drawn.drop_features for _, drawn in draw_many(sampler(records)))


def test_an_epoch_holds_every_record_once_in_its_own_order(records):
    lists = TrainingLists(sampler(records), epochs=2.5)
    assert len(lists) == 100
    questions = [lists[position].ranked.question for position in range(100)]
    first, second = questions[:40], questions[40:80]
    assert set(first) == set(second) == {one.record.question for one in records}
    assert first != second
    assert same(lists[17], TrainingLists(sampler(records), epochs=2.5)[17])


def test_a_list_costs_its_own_documents_and_no_shuffle_of_all_records(records, monkeypatch):
    shuffled: list[int] = []

    class Counting(random.Random):
        def shuffle(self, x: Any) -> None:
            shuffled.append(len(x))
            super().shuffle(x)

    monkeypatch.setattr("r2ag.training.lists.random.Random", Counting)
    lists = TrainingLists(sampler(records), epochs=2.5)
    assert shuffled == [40, 40, 40]  # once an epoch
    shuffled.clear()
    assert len([lists[position] for position in range(100)]) == 100
    assert max(shuffled) <= 8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 6, "micro_batch_size": 4}, "batch_size must be a multiple"),
        ({"held_back": 0.0}, "held_back must be a share"),
        ({"held_back": 0.95}, "held_back must be a share"),
        ({"fewest_documents": 0}, "fewest_documents must be at least 1"),
        ({"fewest_documents": 11}, "at most most_documents"),
        ({"freeze_relevance": True, "method": "raft"}, "raft has none"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        TrainingConfig(**changes)


def test_the_curriculum_has_labels_until_half_way_and_ends_without(records):
    lists = TrainingLists(sampler(records, gold_relevance=1.0), epochs=20)
    told = [lists[position].gold_relevance for position in range(len(lists))]
    half = len(told) // 2
    assert all(told[:half])
    assert 0.3 < sum(told[half:]) / half < 0.7
    assert sum(told[-half // 5 :]) < sum(told[half : half + half // 5])
    assert told == [lists[position].gold_relevance for position in range(len(lists))]
    assert not any(drawn.gold_relevance for drawn in TrainingLists(sampler(records, gold_relevance=0.0), epochs=1))
