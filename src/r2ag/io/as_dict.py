"""Answers and documents as plain dictionaries: what `--json`, the MCP server and the frameworks' metadata hold."""

from __future__ import annotations

from typing import Any

from r2ag.types import Answer, ScoredDocument


def answer_fields(answer: Answer) -> dict[str, Any]:
    """An answer as `r2ag ask --json` prints it."""
    return {
        "question": answer.question,
        "answer": answer.text,
        "abstained": answer.abstained,
        "citations": list(answer.citations),
        "documents": [document_fields(document) | {"used": document.used} for document in answer.documents],
        "timings_ms": dict(answer.timings_ms),
        "usage": dict(answer.usage),
        "models": dict(answer.models),
        "finish_reason": answer.finish_reason,
        "shortened": answer.shortened,
    }


def document_fields(scored: ScoredDocument) -> dict[str, Any]:
    """A document with its place in the list and what is known of it."""
    document = scored.document
    return {
        "rank": scored.rank,
        "source": document.source,
        "section": document.section,
        "place": document.place,
        "title": document.title,
        "text": document.text,
        **relevance_fields(scored),
    }


def relevance_fields(scored: ScoredDocument) -> dict[str, Any]:
    """The calibrated probability that a document is relevant, and the features behind it."""
    return {"features": dict(scored.features), "relevance_probability": scored.relevance_probability}
