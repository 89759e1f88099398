"""Which documents an answer may cite."""

from __future__ import annotations

from collections.abc import Sequence

from r2ag.answering.matching import holds, words
from r2ag.types import ScoredDocument

SHORT_ANSWER_WORDS = 5
LEAST_SHARED_WORDS = 0.6


def cite(answer: str, documents: Sequence[ScoredDocument], threshold: float) -> tuple[int, ...]:
    """Ranks of the documents that were read, pass the threshold and bear the answer.

    A document bears a short answer when it contains it, and a longer one when it shares most of its content words.
    "yes" and "no" stand in no document as an answer: all relevant documents that were read are cited for them.
    """
    if not answer.strip():
        return ()
    return tuple(
        document.rank
        for document in documents
        if document.used and document.relevance_probability >= threshold and _bears(document.document.passage, answer)
    )


def _bears(passage: str, answer: str) -> bool:
    said, answered = words(passage), words(answer)
    if answered in (["yes"], ["no"]):
        return True
    if len(answered) <= SHORT_ANSWER_WORDS:
        return holds(said, answered)
    # Short words of an alphabet carry the grammar, not the content.
    content = {word for word in answered if len(word) > 3 or not word.isascii()} or set(answered)
    return len(content & set(said)) >= LEAST_SHARED_WORDS * len(content)
