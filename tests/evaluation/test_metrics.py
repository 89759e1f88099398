from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2ag.evaluation.metrics import (
    acc,
    acc_word,
    answer_words,
    average_precision,
    exact_match,
    f1,
    is_yes_no,
    normalise,
    recall_at_1,
    rouge_l,
    score,
    success_at_1,
)

words = st.lists(st.sampled_from(["the", "a", "no", "know", "Paris", "1471", "mason,", "(built)", "北京"]), max_size=8)
texts = words.map(" ".join) | st.text(max_size=20)
golds = st.lists(texts, min_size=1, max_size=3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  Eiffel Tower!", "eiffel tower"),
        ("U.S.A.", "usa"),
        ("An apple a day", "apple day"),
        ("a.n", ""),
        ("", ""),
        ("theatre", "theatre"),
        ("北京，2008年。", "北 京 2008 年"),
        ("2010–2011", "2010–2011"),  # as published: only ASCII punctuation goes
    ],
)
def test_normalise(text: str, expected: str) -> None:
    assert normalise(text) == expected


@pytest.mark.parametrize(
    ("prediction", "gold", "published", "bounded", "em"),
    [
        ("It was Paris, France.", ["Paris"], 1, 1, 0),
        ("I don't know.", ["no"], 1, 0, 0),
        ("The Paris", ["paris"], 1, 1, 1),
        ("Lyon", ["Paris", "Lyon"], 1, 1, 1),
        ("Par is", ["Paris"], 0, 0, 0),
        ("", ["Paris"], 0, 0, 0),
        ("anything at all", ["*"], 0, 0, 0),
        ("在北京。", ["北京"], 1, 1, 0),
    ],
)
def test_accuracies(prediction: str, gold: list[str], published: int, bounded: int, em: int) -> None:
    assert (acc(prediction, gold), acc_word(prediction, gold), exact_match(prediction, gold)) == (
        published,
        bounded,
        em,
    )


def test_f1_by_hand() -> None:
    # said: big red bridge; gold: red bridge of york: 2 common, precision 2/3, recall 2/4
    assert f1("The big red bridge", ["red bridge of York"]) == pytest.approx(2 * (2 / 3) * (2 / 4) / (2 / 3 + 2 / 4))
    assert f1("red red", ["red"]) == pytest.approx(2 / 3)  # a token counts as often as both have it
    assert f1("York", ["Leeds", "York"]) == 1
    assert f1("上海", ["上京"]) == 0.5


def test_rouge_l_by_hand() -> None:
    # longest common subsequence "police the gunman" of 4 and 4 words
    assert rouge_l("police killed the gunman", ["police ended the gunman"]) == 0.75
    assert rouge_l("the gunman police killed", ["police killed the gunman"]) == 0.5
    assert rouge_l("", ["police"]) == 0
    assert rouge_l("我在北京", ["在北方"]) == pytest.approx(2 * 2 / (4 + 3))


def test_length_and_yes_no() -> None:
    assert answer_words("It was 1471.") == 3
    assert answer_words("在 北京") == 3
    assert is_yes_no(["Yes."])
    assert not is_yes_no(["yes", "Paris"])


def test_ranking_by_hand() -> None:
    assert average_precision([True, False, True]) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision([False, True], total=2) == pytest.approx(1 / 4)
    assert average_precision([False, False]) == 0
    assert recall_at_1([True, False, True]) == 0.5
    assert recall_at_1([False, True]) == 0
    assert success_at_1([True, False, True]) == 1


@given(texts)
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(texts, golds)
def test_stricter_metrics_are_lower(prediction: str, gold: list[str]) -> None:
    found = score(prediction, gold)
    assert found.em <= found.acc_word <= found.acc
    assert found.em <= found.f1
    assert 0 <= found.f1 <= 1
    assert 0 <= found.rouge_l <= 1


@given(texts, golds)
def test_order_of_golds_is_no_matter_and_more_never_hurt(prediction: str, gold: list[str]) -> None:
    found, reversed_, fewer = score(prediction, gold), score(prediction, gold[::-1]), score(prediction, gold[:1])
    assert found == reversed_
    assert all(getattr(found, name) >= getattr(fewer, name) for name in vars(found))


@given(texts.filter(lambda text: normalise(text) != ""))
def test_the_gold_answer_itself_is_right(text: str) -> None:
    found = score(text, [text])
    assert (found.acc, found.acc_word, found.em, found.f1) == (1, 1, 1, 1)


@given(st.lists(st.booleans(), min_size=1, max_size=8))
def test_average_precision_is_1_only_with_the_relevant_first(labels: list[bool]) -> None:
    perfect = any(labels) and labels == sorted(labels, reverse=True)
    assert (average_precision(labels) == 1) == perfect
