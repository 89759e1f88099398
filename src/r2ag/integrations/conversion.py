"""Documents of the frameworks, which are text with free metadata, to R²AG's and back; and how relevant they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from r2ag.errors import InputError
from r2ag.pipeline import Pipeline
from r2ag.types import Document, ScoredDocument

# What the frameworks' own readers of files and pages call it.
_SOURCES = ("source", "file_path", "url")


def document_of(text: str | None, metadata: Mapping[str, Any]) -> Document:
    """A framework's document as ours; of its metadata, what has our names."""
    return Document(
        text or "",
        title=_text(metadata.get("title")),
        source=next(filter(None, (_text(metadata.get(name)) for name in _SOURCES)), ""),
        section=_text(metadata.get("section")),
        place=_text(metadata.get("place")),
    )


def metadata_of(document: Document) -> dict[str, Any]:
    """What a framework's document tells of ours besides its text."""
    return {
        "source": document.source,
        "title": document.title,
        "section": document.section,
        "place": document.place,
    }


def score(
    pipeline: Pipeline, question: str, documents: Sequence[Document] | None = None, k: int | None = None
) -> tuple[ScoredDocument, ...]:
    """How relevant documents are, in the order given; None asks the pipeline's own, in its finder's order.

    Raises:
        InputError: the question or k can't be used, or the adapter takes fewer documents.
    """
    if documents is not None:
        check_count(pipeline, documents)
    found = pipeline.find(question, documents, k=k)
    return pipeline.finish(pipeline.assess(found), None).documents


def check_count(pipeline: Pipeline, documents: Sequence[Document]) -> None:
    """Raises InputError where there are more documents than the adapter takes."""
    limit = pipeline.reader.adapter.config.former.max_documents
    if len(documents) > limit:
        raise InputError(
            f"There are {len(documents):,} documents and this adapter takes {limit}; pass on the best {limit} alone."
        )


def most_relevant(
    scored: Sequence[ScoredDocument], threshold: float | None = None, most: int | None = None
) -> list[ScoredDocument]:
    """By falling probability of relevance.

    Args:
        threshold: the least probability that is kept; None keeps all.
        most: how many at most are kept; None keeps all.
    """
    kept = [document for document in scored if threshold is None or document.relevance_probability >= threshold]
    return sorted(kept, key=lambda document: -document.relevance_probability)[:most]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
