"""BM25 of candidate lists that no store holds, by the same full-text index as a store's."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing

from r2ag.store.words import TABLE, any_word, indexed
from r2ag.types import Document


def bm25_scores(lists: Sequence[tuple[str, Sequence[Document]]]) -> list[list[float]]:
    """The scores of each question's own documents, in their order: 0 without a common word; higher is better.

    The rarity of a word is counted over the documents of all lists, each text once.
    """
    texts = dict.fromkeys((document.title, document.text) for _, documents in lists for document in documents)
    ids = {text: number for number, text in enumerate(texts, 1)}
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(TABLE)
        rows = ((_legible(title), _legible(text)) for title, text in texts)
        connection.executemany("INSERT INTO words (title, text) VALUES (?, ?)", rows)  # rowids count from 1
        return [_scores(connection, q, [ids[d.title, d.text] for d in documents]) for q, documents in lists]


def _scores(connection: sqlite3.Connection, question: str, ids: Sequence[int]) -> list[float]:
    terms = any_word(question)
    if not terms:
        return [0.0] * len(ids)
    # The + keeps SQLite from running the full-text query once for each of these ids.
    sql = f"SELECT rowid, -rank FROM words WHERE words MATCH ? AND +rowid IN ({', '.join('?' * len(ids))})"
    found: dict[int, float] = dict(connection.execute(sql, [terms, *ids]))
    return [found.get(number, 0.0) for number in ids]


def _legible(text: str) -> str:
    """SQLite takes no half characters."""
    return indexed(text.encode("utf-8", "replace").decode("utf-8"))
