from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2ag.errors import InputError
from r2ag.records import Split, split_records, write_records
from r2ag.records.split import mix, sample
from r2ag.types import Document, Record

PARTS = ("training", "stopping", "calibration", "threshold")


def some_records(start: int, stop: int) -> list[Record]:
    return [Record(str(i), f"question {i}?", ("a",), (Document("t"),)) for i in range(start, stop)]


def sides(split: Split) -> dict[str, str]:
    return {record.id: part for part in PARTS for record in getattr(split, part)}


def test_every_record_stands_on_one_side():
    records = some_records(0, 2_000)
    split = split_records(records, held_back=0.3)
    everyone = [record.id for part in PARTS for record in getattr(split, part)]
    assert sorted(everyone) == sorted(record.id for record in records)
    assert 540 < 2_000 - len(split.training) < 660
    assert all(160 < len(getattr(split, part)) < 240 for part in PARTS[1:])


@given(
    first=st.integers(0, 300),
    count=st.integers(1, 300),
    seed=st.integers(0, 3),
    held_back=st.floats(0.01, 0.99),
)
def test_a_record_stands_on_the_same_side_whatever_it_is_mixed_with(first, count, seed, held_back):
    mixed = some_records(first, first + count) + some_records(400, 450)
    random.Random(seed).shuffle(mixed)
    together = sides(split_records(mixed, held_back, seed))
    alone = sides(split_records(some_records(first, first + count), held_back, seed))
    assert alone.items() <= together.items()


def test_holding_back_more_takes_no_record_into_training():
    little, much = (split_records(some_records(0, 500), held_back).training for held_back in (0.1, 0.4))
    assert {record.id for record in much} < {record.id for record in little}


@pytest.mark.parametrize(("held_back", "training"), [(0.0, 100), (1.0, 0)])
def test_all_or_nothing(held_back, training):
    assert len(split_records(some_records(0, 100), held_back).training) == training


def test_another_seed_is_another_split():
    one, other = (sides(split_records(some_records(0, 100), 0.5, seed)) for seed in (0, 1))
    assert one != other


def test_lone_surrogates():
    (record,) = split_records([Record("\ud800", "\udfff?", ("a",), ())], held_back=0.0).training
    assert record.id == "\ud800"


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / "one.jsonl", tmp_path / "two.jsonl.gz"]
    for path in paths:
        write_records([Record(f"{path.name[:3]}-{i}", f"{i}?", ("a",), (Document("t"),)) for i in range(10)], path)
    return paths


@pytest.mark.parametrize(("weight", "counts"), [(1, [10]), (0.5, [5]), (2, [10, 10]), (2.3, [10, 10, 3]), (0.01, [1])])
def test_a_weight_says_how_often_a_file_is_taken(files, weight, counts):
    mixed = mix([(files[0], 1.0), (files[1], weight)])
    assert [record.id for record in mixed[:10]] == [f"one-{i}" for i in range(10)]
    times = Counter(record.id for record in mixed[10:])
    assert sum(times.values()) == sum(counts)
    assert max(times.values()) == len(counts)
    assert set(times) <= {f"two-{i}" for i in range(10)}


def test_the_part_of_a_file_is_drawn_by_the_seed(files):
    one, again, other = ([record.id for record in mix([(files[0], 0.5)], seed)] for seed in (0, 0, 1))
    assert one == again == sorted(one)
    assert one != other


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_a_weight_that_makes_no_sense_is_refused(files, weight):
    with pytest.raises(InputError, match=r"weight of .*two\.jsonl"):
        mix([(files[0], 1.0), (files[1], weight)])


def test_sample_keeps_the_order():
    records = [Record(str(i), "?", ("a",), ()) for i in range(20)]
    drawn = sample(records, 8, seed=3)
    assert len(drawn) == 8
    assert drawn == [record for record in records if record in drawn] != records[:8]
    assert sample(records, None) == sample(records, 20) == sample(records, 99) == records


def test_a_larger_sample_holds_the_smaller_ones():
    records = [Record(str(i), "?", ("a",), ()) for i in range(300)]
    samples = [{record.id for record in sample(records, count, seed=1)} for count in (5, 50, 290)]
    assert samples[0] < samples[1] < samples[2]
    assert samples[0] != {record.id for record in sample(records, 5, seed=2)}
