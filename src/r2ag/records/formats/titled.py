"""Paragraphs with titles, and the titles that support the answer: HotpotQA, 2WikiMultiHopQA and FlashRAG's sets.

The published JSON files hold pairs, [title, sentences] and [title, sentence number]; the same sets on the Hugging Face
hub, and FlashRAG's files, hold columns: {"title": […], "sentences": [[…], …]} (FlashRAG's 2WikiMultiHopQA calls them
"content") and {"title": […], "sent_id": […]}.
"""

from __future__ import annotations

from typing import Any

from r2ag.records.formats.row import Format, Row, holding
from r2ag.types import Document, Record


def _hotpotqa(row: Row, seed: int) -> Record:
    """HotpotQA in the distractor setting: a JSON array, or its rows on the hub.

    Fields: _id (on the hub id), question, answer, supporting_facts, context (README of hotpotqa/hotpot), and in
    2WikiMultiHopQA evidences (README of Alab-NII/2wikimultihop). A paragraph is relevant where a supporting fact stands
    in it. The paragraphs come shuffled, and stay as they come.
    """
    name = "_id" if row.has("_id") else "id"
    return Record(row.text(name), row.text("question"), (row.text("answer"),), _documents(row))


def _flashrag(row: Row, seed: int) -> Record:
    """FlashRAG's files: JSON lines with id, question, golden_answers and metadata (RUC-NLPIR/FlashRAG_datasets).

    Only the sets whose metadata has "context" and "supporting_facts" (HotpotQA, 2WikiMultiHopQA) hold documents.
    Questions of the others are left out of what is written.
    """
    question, metadata = row.text("question"), row.inner("metadata")
    documents = _documents(metadata) if metadata.has("context", "supporting_facts") else ()
    return Record(str(row.fields.get("id", question)), question, row.texts("golden_answers"), documents)


def _documents(row: Row) -> tuple[Document, ...]:
    """The paragraphs of "context" in their own order, relevant where "supporting_facts" names their title."""
    supporting = {title for title, _ in _pairs(row, "supporting_facts", "sent_id")}
    found = []
    for title, sentences in _pairs(row, "context", "sentences", "content"):
        if not isinstance(sentences, list) or not all(isinstance(sentence, str) for sentence in sentences):
            raise row.wrong("context", "must give each paragraph as a title and a list of sentences")
        # HotpotQA's sentences begin with the space that parts them from the one before, 2WikiMultiHopQA's do not.
        text = " ".join(stripped for sentence in sentences if (stripped := sentence.strip()))
        if text:
            found.append(Document(text, title, relevant=title in supporting))
    return tuple(found)


def _pairs(row: Row, name: str, *columns: str) -> list[tuple[str, Any]]:
    """A field's pairs of a title and something else, which in a form with columns is the first of `columns`."""
    value = row.fields.get(name)
    if isinstance(value, dict):
        both: list[Any] = [value.get("title"), next((value[column] for column in columns if column in value), None)]
        whole = all(isinstance(column, list) for column in both) and len(both[0]) == len(both[1])
        value = list(zip(*both, strict=True)) if whole else None
    if not isinstance(value, list) or not all(_is_pair(pair) for pair in value):
        raise row.wrong(name, f"must be a list of pairs, or columns named title and {' or '.join(columns)}")
    return [(title, other) for title, other in value]


def _is_pair(pair: Any) -> bool:
    return isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], str)


_FIELDS = ("question", "answer", "supporting_facts", "context")
HOTPOTQA = Format("hotpotqa", holding(*_FIELDS), _hotpotqa)
TWO_WIKI = Format("2wikimultihopqa", holding(*_FIELDS, "evidences"), _hotpotqa)
FLASHRAG = Format("flashrag", holding("question", "golden_answers"), _flashrag)
