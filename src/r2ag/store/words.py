"""Texts and questions as full-text indexes take them: FTS5's, and BM25 as sparse vectors.

The vectors are for engines that multiply these but have no BM25 of their own. A passage's vector holds how much each of
its stems says about it; a question's holds how rare its stems are (which Qdrant works out itself). Their product is
BM25 with the parameters of the embedded store's FTS5, but for the length of an average passage, which here is a
constant: else each new passage would change the vectors of all others.
"""

from __future__ import annotations

import math
import re
import unicodedata
import zlib
from collections import Counter
from functools import cache, lru_cache
from threading import Lock
from typing import Any

MAX_TERMS = 200
TABLE = "CREATE VIRTUAL TABLE words USING fts5 (title, text, tokenize = 'porter unicode61 remove_diacritics 2')"

# Chinese and Japanese have no spaces: each character is indexed as a word, and pairs of them are looked for.
_IDEOGRAPH = r"\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
EACH_IDEOGRAPH = re.compile(f"([{_IDEOGRAPH}])")
RUN = re.compile(f"[{_IDEOGRAPH}]+|[^\\W_{_IDEOGRAPH}]+")

K1, B = 1.2, 0.75
USUAL_LENGTH = 120  # words of a passage of PASSAGE_TOKENS
SHORTEST_STEMMED, MAX_STEM_CHARACTERS = 3, 100
DIMENSION = 1_000_000_000  # as many as pgvector's sparsevec may have
_COMBINING = re.compile("[\u0300-\u036f]")
_porters_turn = Lock()  # it works on one word at a time


def indexed(text: str) -> str:
    """A text whose words FTS5 can tell apart. Stores made with another version of this must have another format."""
    return EACH_IDEOGRAPH.sub(r" \1 ", text)


def any_word(question: str) -> str:
    """A full-text query for documents with any word of the question; empty where it has none.

    Each term is letters and digits in quotation marks, so that nothing in a question is FTS5's syntax.
    """
    found = dict.fromkeys(term for run in RUN.findall(question.lower()) for term in terms(run))
    return " OR ".join(f'"{term}"' for term in list(found)[:MAX_TERMS])


def terms(run: str) -> list[str]:
    """What is looked for of a run of letters: the word itself, or pairs of characters with a space between."""
    if not EACH_IDEOGRAPH.match(run):
        return [run]
    return [" ".join(run[at : at + 2]) for at in range(max(len(run) - 1, 1))]


def passage_weights(title: str, text: str) -> dict[str, float]:
    """What each stem adds to the score of a passage where it is asked for, before the stem's rarity is looked at."""
    found = [stem for run in RUN.findall(f"{title}\n{text}".lower()) for stem in _passage_stems(run)]
    length = K1 * (1 - B + B * len(found) / USUAL_LENGTH)
    return {stem: count * (K1 + 1) / (count + length) for stem, count in Counter(found).items()}


def question_stems(question: str) -> list[str]:
    """The stems to look for, each once; of Chinese and Japanese pairs of characters."""
    found = dict.fromkeys(_stem(term.replace(" ", "")) for run in RUN.findall(question.lower()) for term in terms(run))
    return list(found)[:MAX_TERMS]


def rarity(passages: int, having: int) -> float:
    """Weight of a stem that `having` of `passages` have; never below 0."""
    return math.log(1 + (passages - having + 0.5) / (having + 0.5))


def place(stem: str) -> int:
    """A stem's place in a sparse vector, from 0. Two stems of a thousand million may share one."""
    return zlib.crc32(stem.encode("utf-8")) % DIMENSION


def sparse(weights: dict[str, float]) -> dict[int, float]:
    """Weights of stems by their places."""
    placed: dict[int, float] = {}
    for stem, weight in weights.items():
        placed[place(stem)] = placed.get(place(stem), 0.0) + weight
    return placed


def _passage_stems(run: str) -> list[str]:
    if not EACH_IDEOGRAPH.match(run):
        return [_stem(run)]
    return [*run, *(run[at : at + 2] for at in range(len(run) - 1))]


@lru_cache(maxsize=100_000)
def _stem(word: str) -> str:
    plain = _COMBINING.sub("", unicodedata.normalize("NFD", word)) or word
    if len(plain) < SHORTEST_STEMMED:  # Porter would leave nothing of "s"
        return plain
    with _porters_turn:
        stem: str = _porter().stemWord(plain)
    return stem[:MAX_STEM_CHARACTERS]


@cache
def _porter() -> Any:
    """The stemmer, which only stores on servers need."""
    import snowballstemmer

    return snowballstemmer.stemmer("porter")
