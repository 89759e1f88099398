"""How good an answer is: the best over the record's gold answers."""

from __future__ import annotations

import logging
import re
import string
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any

from r2ag.answering.matching import holds

_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_KANA = re.compile(r"[\u3040-\u30ff]")
_EAST_ASIAN = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff01-\uff65]")  # with its marks
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_CJK_PUNCTUATION = (
    "！？｡。＂＃＄％＆＇（）＊＋，－／：；＜＝＞＠［＼］＾＿｀｛｜｝～｟｠｢｣､、〃"
    "《》「」『』【】〔〕〖〗〘〙〚〛〜〝〞〟–—‘’‛“”„‟…‧﹏．·"
)
# Its list has 》 but not 《.
_LONGBENCH_PUNCTUATION = frozenset(string.punctuation + _CJK_PUNCTUATION + "〰〾〿") - frozenset("《．·")
_WESTERN = str.maketrans("", "", string.punctuation)
_EASTERN = str.maketrans("", "", string.punctuation + _CJK_PUNCTUATION)


def normalise(*texts: str) -> list[str]:
    """Lower-case, without punctuation, articles and extra spaces (SQuAD's rules, as "Lost in the middle" applies them).

    Chinese and Japanese characters become words of their own, since such text has no spaces between words. Where one of
    the texts has such characters or their marks, East Asian punctuation goes from all, so that they compare.
    """
    marks = _EASTERN if any(_EAST_ASIAN.search(text) for text in texts) else _WESTERN
    spaced = (_CJK.sub(r" \g<0> ", text.lower().translate(marks)) for text in texts)
    return [" ".join(_ARTICLES.sub(" ", text).split()) for text in spaced]


def acc(prediction: str, golds: Sequence[str]) -> float:
    """1 if a gold answer is a substring of the prediction, both normalised: the published Acc.

    This is `best_subspan_em` of Liu et al., "Lost in the Middle" (metrics.py of their repository). It knows no word
    boundaries ("no" is in "know") and a longer prediction scores more easily. A gold answer that normalises to nothing
    is never found, while theirs is found in every prediction.
    """
    return float(any(gold and gold in said for said, gold in _pairs(prediction, golds)))


def acc_word(prediction: str, golds: Sequence[str]) -> float:
    """Like `acc`, but the gold answer must begin and end at word boundaries."""
    return float(any(holds(said.split(), gold.split()) for said, gold in _pairs(prediction, golds)))


def exact_match(prediction: str, golds: Sequence[str]) -> float:
    """1 if the normalised prediction is a normalised gold answer."""
    return float(any(gold and said == gold for said, gold in _pairs(prediction, golds)))


def f1(prediction: str, golds: Sequence[str]) -> float:
    """Overlap of tokens, the best over the gold answers, as LongBench (Bai et al., 2024) measures it.

    Where the gold answers are mostly Chinese, tokens are jieba's words (its `qa_f1_zh_score`), else normalised words
    (its `qa_f1_score`). Other characters without spaces between words, as in Japanese, count one by one.
    """
    if is_chinese(golds):
        pairs = ((chinese_tokens(prediction), chinese_tokens(gold)) for gold in golds)
    else:
        pairs = ((said.split(), gold.split()) for said, gold in _pairs(prediction, golds))
    return max((_overlap(said, gold) for said, gold in pairs), default=0.0)


def rouge_l(prediction: str, golds: Sequence[str]) -> float:
    """F-measure of the longest common subsequence of words (Lin, 2004) by rouge-score, the best over the gold answers.

    Words are lower-cased runs of letters and digits; nothing is stemmed and articles stay. Where the gold answers are
    mostly Chinese they are jieba's words and marks, as in LongBench's `rouge_zh_score`. LongBench computes with the
    package rouge, which splits at full stops and counts a repeated word once: where this is .27 on long Chinese
    answers, that is .32, so that figures compare with each other and not with LongBench's.
    """
    scorer = _rouge_scorer(is_chinese(golds))
    return max((float(scorer.score(gold, prediction)["rougeL"].fmeasure) for gold in golds), default=0.0)


def answer_words(text: str) -> int:
    """Length of an answer in words; a Chinese or Japanese character counts as one."""
    return len(_CJK.sub(r" \g<0> ", text).split())


def is_yes_no(golds: Sequence[str]) -> bool:
    """Whether the question wants yes or no."""
    return set(normalise(*golds)) <= {"yes", "no"}


@dataclass(frozen=True)
class Scores:
    """One answer's metrics."""

    acc: float
    acc_word: float
    em: float
    f1: float
    rouge_l: float


def score(prediction: str, golds: Sequence[str]) -> Scores:
    """All metrics of one answer; the whole generated text counts."""
    metrics = (acc, acc_word, exact_match, f1, rouge_l)
    return Scores(*(metric(prediction, golds) for metric in metrics))


def _pairs(prediction: str, golds: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The prediction and each gold answer, normalised together."""
    for gold in golds:
        said, wanted = normalise(prediction, gold)
        yield said, wanted


def _overlap(said: Sequence[str], gold: Sequence[str]) -> float:
    common = sum((Counter(said) & Counter(gold)).values())
    return 2 * common / (len(said) + len(gold)) if common else 0.0


@cache
def _rouge_scorer(in_chinese: bool) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], tokenizer=SimpleNamespace(tokenize=chinese_words if in_chinese else _words))


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", _CJK.sub(r" \g<0> ", text.lower()))


def is_chinese(texts: Sequence[str]) -> bool:
    """Whether at least half of the letters and digits are Chinese characters; kana mean Japanese."""
    letters = re.findall(r"[^\W_]", "".join(texts))
    return 2 * sum(_HAN.match(letter) is not None for letter in letters) >= max(len(letters), 1) and not any(
        _KANA.search(text) for text in texts
    )


def chinese_words(text: str) -> list[str]:
    """All words and marks of a Chinese text, without spaces; cut by jieba, as LongBench does it."""
    return [word for word in _segmenter().cut(text, cut_all=False) if word.strip()]


def chinese_tokens(text: str) -> list[str]:
    """Words in lower case without punctuation: the tokens of LongBench's `qa_f1_zh_score`."""
    words = (word.lower() for word in chinese_words(text))
    bare = ("".join(c for c in word if c not in _LONGBENCH_PUNCTUATION and not c.isspace()) for word in words)
    return [word for word in bare if word]


@cache
def _segmenter() -> Any:
    """jieba keeps its dictionary in a file in the folder that all users share; ours is in the user's own cache."""
    import jieba

    from r2ag.models.wheels import cache_folder

    jieba.setLogLevel(logging.WARNING)
    folder = cache_folder() / "jieba"
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = jieba.Tokenizer()
    tokenizer.tmp_dir = str(folder)
    return tokenizer
