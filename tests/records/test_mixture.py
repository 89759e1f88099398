from __future__ import annotations

from collections import Counter

import pytest

from r2ag.errors import InputError
from r2ag.records import write_records
from r2ag.records.mixture import mix, sample
from r2ag.types import Document, Record


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
