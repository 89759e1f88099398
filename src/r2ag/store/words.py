"""Texts and questions as the full-text index takes them."""

from __future__ import annotations

import re

MAX_TERMS = 200
TABLE = "CREATE VIRTUAL TABLE words USING fts5 (title, text, tokenize = 'porter unicode61 remove_diacritics 2')"

# Chinese and Japanese have no spaces: each character is indexed as a word, and pairs of them are looked for.
_IDEOGRAPH = r"\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_EACH_IDEOGRAPH = re.compile(f"([{_IDEOGRAPH}])")
_RUN = re.compile(f"[{_IDEOGRAPH}]+|[^\\W_{_IDEOGRAPH}]+")


def indexed(text: str) -> str:
    """A text whose words FTS5 can tell apart. Stores made with another version of this must have another format."""
    return _EACH_IDEOGRAPH.sub(r" \1 ", text)


def any_word(question: str) -> str:
    """A full-text query for documents with any word of the question; empty where it has none.

    Each term is letters and digits in quotation marks, so that nothing in a question is FTS5's syntax.
    """
    terms = dict.fromkeys(term for run in _RUN.findall(question.lower()) for term in _terms(run))
    return " OR ".join(f'"{term}"' for term in list(terms)[:MAX_TERMS])


def _terms(run: str) -> list[str]:
    if not _EACH_IDEOGRAPH.match(run):
        return [run]
    return [" ".join(run[at : at + 2]) for at in range(max(len(run) - 1, 1))]
