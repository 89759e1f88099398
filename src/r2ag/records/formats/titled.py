"""Paragraphs with titles and the titles that support the answer: what HotpotQA, 2WikiMultiHopQA and FlashRAG share.

The published JSON files hold pairs, [title, sentences] and [title, sentence number]; the same sets on the Hugging Face
hub, and FlashRAG's files, hold columns: {"title": […], "sentences": [[…], …]} (FlashRAG's 2WikiMultiHopQA calls them
"content") and {"title": […], "sent_id": […]}.
"""

from __future__ import annotations

from typing import Any

from r2ag.records.formats.row import Row
from r2ag.types import Document


def documents(row: Row) -> tuple[Document, ...]:
    """The paragraphs of "context" in their own order, relevant where "supporting_facts" names their title."""
    supporting = {title for title, _ in _pairs(row, "supporting_facts", ("sent_id",))}
    found = []
    for title, sentences in _pairs(row, "context", ("sentences", "content")):
        if not isinstance(sentences, list) or not all(isinstance(sentence, str) for sentence in sentences):
            raise row.wrong("context", "must give each paragraph as a title and a list of sentences")
        # HotpotQA's sentences begin with the space that parts them from the one before, 2WikiMultiHopQA's do not.
        text = " ".join(stripped for sentence in sentences if (stripped := sentence.strip()))
        if text:
            found.append(Document(text, title, relevant=title in supporting))
    return tuple(found)


def _pairs(row: Row, name: str, seconds: tuple[str, ...]) -> list[tuple[str, Any]]:
    value = row.fields.get(name)
    if isinstance(value, dict):
        column = next((value[second] for second in seconds if second in value), None)
        value = _zipped(value.get("title"), column)
    if not isinstance(value, list) or not all(_is_pair(pair) for pair in value):
        raise row.wrong(name, f"must be a list of pairs, or columns named title and {' or '.join(seconds)}")
    return [(title, second) for title, second in value]


def _zipped(titles: Any, column: Any) -> list[tuple[Any, Any]] | None:
    if not isinstance(titles, list) or not isinstance(column, list) or len(titles) != len(column):
        return None
    return list(zip(titles, column, strict=True))


def _is_pair(pair: Any) -> bool:
    return isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], str)
