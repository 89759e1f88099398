"""What a data set is like: sizes, tokens, and how well a retriever ranks it (the paper's table 4)."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from r2ag.types import Document, Record

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from r2ag.encoder.encoder import FeatureEncoder
    from r2ag.records.formats.beir import OpenRetrieval

SEARCHED = 100  # documents of a corpus that a ranking is measured on
TEXTS_AT_ONCE = 1000


def describe_data(
    records: Sequence[Record], tokenizer: PreTrainedTokenizerFast, encoder: FeatureEncoder | None = None
) -> dict[str, Any]:
    """Sizes of records; with an encoder also how well it ranks each record's own documents."""
    sizes = [len(record.documents) for record in records]
    relevant = [sum(bool(document.relevant) for document in record.documents) for record in records]
    tokens = _tokens([document for record in records for document in record.documents], tokenizer)
    described = {
        "records": len(records),
        "documents_mean": fmean(sizes),
        "documents_range": [min(sizes), max(sizes)],
        "relevant_mean": fmean(relevant),
        "without_relevant": relevant.count(0),
        "tokens_a_document": fmean(tokens),
        "tokens_a_record": sum(tokens) / len(records),
    }
    return described if encoder is None else described | {"retrieval": _ranked(records, encoder)}


def describe_corpus(
    searched: OpenRetrieval, tokenizer: PreTrainedTokenizerFast, encoder: FeatureEncoder | None = None
) -> dict[str, Any]:
    """Sizes of a corpus and its questions; with an encoder also how well it finds their passages in all of it."""
    tokens = _tokens(searched.corpus, tokenizer)
    described = {
        "records": len(searched.questions),
        "documents_mean": len(searched.corpus),
        "documents_range": [len(searched.corpus)] * 2,
        "relevant_mean": fmean(len(question.relevant) for question in searched.questions),
        "without_relevant": sum(not question.relevant for question in searched.questions),
        "tokens_a_document": fmean(tokens),
        "tokens_a_record": sum(tokens),
    }
    return described if encoder is None else described | {"retrieval": _found(searched, encoder)}


def _tokens(documents: Sequence[Document], tokenizer: PreTrainedTokenizerFast) -> list[int]:
    counts: list[int] = []
    for start in range(0, len(documents), TEXTS_AT_ONCE):
        texts = [document.passage for document in documents[start : start + TEXTS_AT_ONCE]]
        # Half a character (a lone surrogate) can't be tokenised; the replacement character stands for it.
        texts = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        counts += [len(encoding.ids) for encoding in tokenizer.backend_tokenizer.encode_batch(texts, False)]
    return counts


def _ranked(records: Sequence[Record], encoder: FeatureEncoder) -> dict[str, Any]:
    from r2ag.encoder.encoder import rank_by_similarity
    from r2ag.evaluation.ranking import ranking_figures
    from r2ag.records.vectors import describe_records

    measured = [record for record in records if any(document.relevant for document in record.documents)]
    lists = [rank_by_similarity(ranked) for ranked in describe_records(encoder, measured, progress=True)]
    return ranking_figures([[bool(document.relevant) for document in ranked.documents] for ranked in lists])


def _found(searched: OpenRetrieval, encoder: FeatureEncoder) -> dict[str, Any]:
    from r2ag.evaluation.ranking import ranking_figures

    found = searched.search(encoder, SEARCHED).tolist()
    pairs = [(places, q.relevant) for places, q in zip(found, searched.questions, strict=True) if q.relevant]
    labels = [[place in relevant for place in places] for places, relevant in pairs]
    return ranking_figures(labels, [len(relevant) for _, relevant in pairs])
