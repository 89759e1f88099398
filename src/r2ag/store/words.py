"""Texts and questions as the full-text index takes them."""

from __future__ import annotations

import re

MAX_TERMS = 200
TABLE = "CREATE VIRTUAL TABLE words USING fts5 (title, text, tokenize = 'porter unicode61 remove_diacritics 2')"

# Chinese and Japanese have no spaces: each character is indexed as a word, and pairs of them are looked for.
_IDEOGRAPH = r"\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
EACH_IDEOGRAPH = re.compile(f"([{_IDEOGRAPH}])")
RUN = re.compile(f"[{_IDEOGRAPH}]+|[^\\W_{_IDEOGRAPH}]+")


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
