from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2ag.evaluation import metrics
from r2ag.evaluation.metrics import (
    acc,
    acc_word,
    answer_words,
    chinese_tokens,
    chinese_words,
    exact_match,
    f1,
    is_chinese,
    is_yes_no,
    normalise,
    rouge_l,
    score,
)

words = st.lists(st.sampled_from(["the", "a", "no", "know", "Paris", "1471", "mason,", "(built)", "北京"]), max_size=8)
texts = words.map(" ".join) | st.text(max_size=20)
golds = st.lists(texts, min_size=1, max_size=3)
# Chinese is cut into words by what all gold answers are, so that another gold answer may change how the first is read.
spaced = texts.filter(lambda text: not is_chinese([text, "a"]))
spaced_golds = st.lists(spaced, min_size=1, max_size=3).filter(lambda given: not is_chinese(given))


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
    assert normalise(text) == [expected]


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


@pytest.mark.parametrize(
    ("prediction", "golds", "published"),
    [
        # normalised by SQuAD's rules, then looked for as a substring, as best_subspan_em does
        ("The answer: Wilhelm Conrad Röntgen.", ["Wilhelm Conrad Röntgen"], 1),
        ("wilhelm  conrad\nrontgen", ["Wilhelm Conrad Röntgen"], 0),  # accents stay
        ("It is the U.S. of A.", ["US"], 1),
        ("a 1,000 m run", ["1000"], 1),
        ("14 December 1972 UTC", ["December 1972", "July 1969"], 1),
        ("December of 1972", ["December 1972"], 0),
        ("theatre", ["the at re"], 0),  # "the" goes, "at re" is not in "theatre"
        ("seventeen", ["seven"], 1),  # no word boundaries
    ],
)
def test_acc_is_best_subspan_em(prediction: str, golds: list[str], published: int) -> None:
    assert acc(prediction, golds) == published


def test_f1_by_hand() -> None:
    # said: big red bridge; gold: red bridge of york: 2 common, precision 2/3, recall 2/4
    assert f1("The big red bridge", ["red bridge of York"]) == pytest.approx(2 * (2 / 3) * (2 / 4) / (2 / 3 + 2 / 4))
    assert f1("red red", ["red"]) == pytest.approx(2 / 3)  # a token counts as often as both have it
    assert f1("York", ["Leeds", "York"]) == 1
    assert f1("ひらがな", ["かたかな"]) == 0.25  # Japanese, character by character


def test_rouge_l_by_hand() -> None:
    # longest common subsequence "police the gunman" of 4 and 4 words
    assert rouge_l("police killed the gunman", ["police ended the gunman"]) == 0.75
    assert rouge_l("the gunman police killed", ["police killed the gunman"]) == 0.5
    assert rouge_l("", ["police"]) == 0
    assert rouge_l("ひらがな", ["ひがし"]) == pytest.approx(2 * 2 / (4 + 3))


def test_length_and_yes_no() -> None:
    assert answer_words("It was 1471.") == 3
    assert answer_words("在 北京") == 3
    assert is_yes_no(["Yes."])
    assert not is_yes_no(["yes", "Paris"])


@given(texts)
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(*normalise(text)) == normalise(text)


@given(texts, spaced_golds)
def test_stricter_metrics_are_lower(prediction: str, gold: list[str]) -> None:
    found = score(prediction, gold)
    assert found.em <= found.acc_word <= found.acc
    assert found.em <= found.f1
    assert 0 <= found.f1 <= 1
    assert 0 <= found.rouge_l <= 1


@given(texts, spaced_golds)
def test_order_of_golds_is_no_matter_and_more_never_hurt(prediction: str, gold: list[str]) -> None:
    found, reversed_, fewer = score(prediction, gold), score(prediction, gold[::-1]), score(prediction, gold[:1])
    assert found == reversed_
    assert all(getattr(found, name) >= getattr(fewer, name) for name in vars(found))


@given(texts.filter(lambda text: normalise(text) != [""]))
def test_the_gold_answer_itself_is_right(text: str) -> None:
    found = score(text, [text])
    assert (found.acc, found.acc_word, found.em, found.f1) == (1, 1, 1, 1)


@pytest.mark.parametrize(
    ("prediction", "gold"),
    [
        ("大约70％", "70％"),
        ("大约 10–20 天", "10–20"),
        ("CCTV", "CCTV。"),
        ("目前汇率1CNY=1.1543HKD。", "1CNY=1.1543HKD。"),
    ],
)
def test_marks_count_alike_in_a_prediction_and_its_gold_answer(prediction: str, gold: str) -> None:
    assert acc(prediction, [gold]) == 1
    assert f1(prediction, [gold]) > 0
    assert acc("10–20 days", ["10–20"]) == 1
    assert acc("10-20 days", ["10–20"]) == 0  # as published


def test_a_gold_answer_in_another_script_changes_no_other() -> None:
    assert f1("x – y", ["x – z", "中"]) == f1("x – y", ["x – z"])
    assert acc("the score was 1020", ["10–20", "十"]) == 0


@pytest.mark.parametrize(
    ("golds", "expected"),
    [
        (["北京"], True),
        (["2008年北京"], False),  # 3 of 7 letters and digits
        (["08年北京"], True),
        (["2008", "在北京举行的奥运会"], True),
        (["Paris"], False),
        (["《", "!"], False),
        ([""], False),
        (["東京です"], False),
    ],
)
def test_what_is_chinese(golds: list[str], expected: bool) -> None:
    assert is_chinese(golds) is expected


def test_chinese_tokens() -> None:
    assert chinese_words("我来到 北京清华大学。") == ["我", "来到", "北京", "清华大学", "。"]
    assert chinese_tokens("《北京》的 GDP，57.81元。") == ["《", "北京", "的", "gdp", "5781", "元"]


def test_chinese_f1_by_hand() -> None:
    # 我 来到 北京 清华大学 and 他 在 北京: 1 in common of 4 and 3
    assert f1("我来到北京清华大学。", ["他在北京"]) == pytest.approx(2 / 7)
    assert f1("北京", ["上海", "北京。"]) == 1
    assert f1("上海", ["上京"]) == 0  # by characters it would be a half
    assert f1("Paris", ["北京"]) == 0


def test_chinese_rouge_l_by_hand() -> None:
    # subsequence 我 北京 。 of 我 来到 北京 清华大学 。 and 我 在 北京 。
    assert rouge_l("我来到北京清华大学。", ["我在北京。"]) == pytest.approx(2 * 3 / (5 + 4))
    assert rouge_l("", ["北京"]) == 0


def test_chinese_acc_needs_no_words() -> None:
    assert acc("我来到北京清华大学。", ["京清"]) == 1


def test_the_chinese_dictionary_stays_in_the_users_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("R2AG_CACHE", str(tmp_path))
    metrics._segmenter.cache_clear()
    assert chinese_words("北京") == ["北京"]
    assert [file.name for file in (tmp_path / "jieba").iterdir()] == ["jieba.cache"]
    metrics._segmenter.cache_clear()
