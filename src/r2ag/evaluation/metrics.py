"""How good an answer or a ranking is. Answer metrics take the best of a record's gold answers."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_CJK_PUNCTUATION = (
    "！？｡。＂＃＄％＆＇（）＊＋，－／：；＜＝＞＠［＼］＾＿｀｛｜｝～｟｠｢｣､、〃"
    "《》「」『』【】〔〕〖〗〘〙〚〛〜〝〞〟–—‘’‛“”„‟…‧﹏．·"
)
_WESTERN = str.maketrans("", "", string.punctuation)
_EASTERN = str.maketrans("", "", string.punctuation + _CJK_PUNCTUATION)


def normalise(text: str) -> str:
    """Lower-case, without punctuation, articles and extra spaces (SQuAD's rules, as "Lost in the middle" applies them).

    Chinese and Japanese characters become words of their own, since such text has no spaces between words, and its
    own punctuation goes too.
    """
    text = text.lower()
    is_cjk = _CJK.search(text) is not None
    text = _CJK.sub(r" \g<0> ", text.translate(_EASTERN if is_cjk else _WESTERN))
    return " ".join(_ARTICLES.sub(" ", text).split())


def acc(prediction: str, golds: Sequence[str]) -> float:
    """1 if a gold answer is a substring of the prediction, both normalised: the published Acc.

    This is `best_subspan_em` of Liu et al., "Lost in the Middle". It knows no word boundaries ("no" is in "know") and
    a longer prediction scores more easily. A gold answer that normalises to nothing is never found.
    """
    said = normalise(prediction)
    return float(any(gold in said for gold in _normalised(golds)))


def acc_word(prediction: str, golds: Sequence[str]) -> float:
    """Like `acc`, but the gold answer must begin and end at word boundaries."""
    said = f" {normalise(prediction)} "
    return float(any(f" {gold} " in said for gold in _normalised(golds)))


def exact_match(prediction: str, golds: Sequence[str]) -> float:
    """1 if the normalised prediction is a normalised gold answer."""
    return float(normalise(prediction) in _normalised(golds))


def f1(prediction: str, golds: Sequence[str]) -> float:
    """Overlap of normalised tokens as LongBench measures it, the best over the gold answers.

    Chinese and Japanese text is compared character by character, so that no word segmenter is needed.
    """
    said = normalise(prediction).split()
    return max((_overlap(said, gold.split()) for gold in _normalised(golds)), default=0.0)


def rouge_l(prediction: str, golds: Sequence[str]) -> float:
    """F-measure of the longest common subsequence of words (characters for Chinese), the best over the gold answers.

    Words are lower-cased runs of letters and digits; nothing is stemmed and articles stay.
    """
    said = _words(prediction)
    return max((_subsequence_f(said, _words(gold)) for gold in golds), default=0.0)


def answer_words(text: str) -> int:
    """Length of an answer in words; a Chinese or Japanese character counts as one."""
    return len(_CJK.sub(r" \g<0> ", text).split())


def is_yes_no(golds: Sequence[str]) -> bool:
    """Whether the question wants yes or no."""
    return {normalise(gold) for gold in golds} <= {"yes", "no"}


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
    return Scores(
        acc=acc(prediction, golds),
        acc_word=acc_word(prediction, golds),
        em=exact_match(prediction, golds),
        f1=f1(prediction, golds),
        rouge_l=rouge_l(prediction, golds),
    )


def average_precision(relevant: Sequence[bool], total: int | None = None) -> float:
    """Mean precision at the ranks of the relevant documents.

    Args:
        relevant: labels in ranked order.
        total: relevant documents there are, where the ranking was cut and may lack some.
    """
    hits = [rank for rank, label in enumerate(relevant, start=1) if label]
    precisions = [found / rank for found, rank in enumerate(hits, start=1)]
    wanted = len(hits) if total is None else total
    return sum(precisions) / wanted if wanted else 0.0


def recall_at_1(relevant: Sequence[bool], total: int | None = None) -> float:
    """Share of the relevant documents that stands first: at most 1 / total where there are several."""
    wanted = sum(relevant) if total is None else total
    return float(relevant[0]) / wanted if wanted else 0.0


def success_at_1(relevant: Sequence[bool]) -> float:
    """1 if the first document is relevant."""
    return float(relevant[0])


def _normalised(golds: Sequence[str]) -> list[str]:
    return [gold for gold in map(normalise, golds) if gold]


def _overlap(said: Sequence[str], gold: Sequence[str]) -> float:
    return _f_measure(sum((Counter(said) & Counter(gold)).values()), len(said), len(gold))


def _subsequence_f(said: Sequence[str], gold: Sequence[str]) -> float:
    row = [0] * (len(gold) + 1)
    for word in said:
        above = row
        row = [0]
        for place, other in enumerate(gold):
            row.append(above[place] + 1 if word == other else max(above[place + 1], row[place]))
    return _f_measure(row[-1], len(said), len(gold))


def _f_measure(common: int, said: int, gold: int) -> float:
    return 2 * common / (said + gold) if common else 0.0


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", _CJK.sub(r" \g<0> ", text.lower()))
