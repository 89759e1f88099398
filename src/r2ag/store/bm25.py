"""BM25 as sparse vectors, for engines that multiply these but have no BM25 of their own.

A passage's vector holds how much each of its stems says about it; a question's holds how rare its stems are (which
Qdrant works out itself). Their product is BM25 with the parameters of the embedded store's FTS5, but for the length of
an average passage, which here is a constant: else each new passage would change the vectors of all others.
"""

from __future__ import annotations

import math
import re
import unicodedata
import zlib
from collections import Counter
from functools import lru_cache
from threading import Lock

import snowballstemmer

from r2ag.store.words import EACH_IDEOGRAPH, MAX_TERMS, RUN, terms

K1, B = 1.2, 0.75
USUAL_LENGTH = 120  # words of a passage of PASSAGE_TOKENS
SHORTEST_STEMMED, MAX_STEM_CHARACTERS = 3, 100
DIMENSION = 1_000_000_000  # as many as pgvector's sparsevec may have

_COMBINING = re.compile("[\u0300-\u036f]")
_porter = snowballstemmer.stemmer("porter")
_porters_turn = Lock()  # it works on one word at a time


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
        stem: str = _porter.stemWord(plain)
    return stem[:MAX_STEM_CHARACTERS]
