"""Chinese answers, cut into words by jieba as LongBench does it."""

from __future__ import annotations

import logging
import re
import string
from collections.abc import Sequence
from functools import cache
from typing import Any

_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_KANA = re.compile(r"[\u3040-\u30ff]")
# LongBench's list, which has 》 but not 《.
_PUNCTUATION = frozenset(
    string.punctuation
    + "！？｡。＂＃＄％＆＇（）＊＋，－／：；＜＝＞＠［＼］＾＿｀｛｜｝～｟｠｢｣､、〃》「」『』【】〔〕〖〗〘〙〚〛〜"
    "〝〞〟〰〾〿–—‘’‛“”„‟…‧﹏"
)


def is_chinese(texts: Sequence[str]) -> bool:
    """Whether at least half of the letters and digits are Chinese characters; kana mean Japanese."""
    letters = re.findall(r"[^\W_]", "".join(texts))
    return 2 * sum(_HAN.match(letter) is not None for letter in letters) >= max(len(letters), 1) and not any(
        _KANA.search(text) for text in texts
    )


def words(text: str) -> list[str]:
    """All words and marks, without spaces."""
    return [word for word in _segmenter().cut(text, cut_all=False) if word.strip()]


def answer_tokens(text: str) -> list[str]:
    """Words in lower case without punctuation: the tokens of LongBench's `qa_f1_zh_score`."""
    bare = ("".join(c for c in word.lower() if c not in _PUNCTUATION and not c.isspace()) for word in words(text))
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
