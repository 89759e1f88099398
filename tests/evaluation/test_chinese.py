from __future__ import annotations

from pathlib import Path

import pytest

from r2ag.evaluation import chinese
from r2ag.evaluation.metrics import acc, f1, rouge_l


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
    assert chinese.is_chinese(golds) is expected


def test_tokens() -> None:
    assert chinese.words("我来到 北京清华大学。") == ["我", "来到", "北京", "清华大学", "。"]
    assert chinese.answer_tokens("《北京》的 GDP，57.81元。") == ["《", "北京", "的", "gdp", "5781", "元"]


def test_f1_by_hand() -> None:
    # 我 来到 北京 清华大学 and 他 在 北京: 1 in common of 4 and 3
    assert f1("我来到北京清华大学。", ["他在北京"]) == pytest.approx(2 / 7)
    assert f1("北京", ["上海", "北京。"]) == 1
    assert f1("上海", ["上京"]) == 0  # by characters it would be a half
    assert f1("Paris", ["北京"]) == 0


def test_rouge_l_by_hand() -> None:
    # subsequence 我 北京 。 of 我 来到 北京 清华大学 。 and 我 在 北京 。
    assert rouge_l("我来到北京清华大学。", ["我在北京。"]) == pytest.approx(2 * 3 / (5 + 4))
    assert rouge_l("", ["北京"]) == 0


def test_acc_needs_no_words() -> None:
    assert acc("我来到北京清华大学。", ["京清"]) == 1


def test_the_dictionary_stays_in_the_users_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("R2AG_CACHE", str(tmp_path))
    chinese._segmenter.cache_clear()
    assert chinese.words("北京") == ["北京"]
    assert [file.name for file in (tmp_path / "jieba").iterdir()] == ["jieba.cache"]
    chinese._segmenter.cache_clear()
