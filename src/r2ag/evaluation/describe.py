"""What a data set is like: sizes, tokens, and how well a retriever ranks it (the paper's table 4)."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from r2ag.encoder.encoder import rank_by_similarity
from r2ag.evaluation.ranking import labels_of, ranking_figures
from r2ag.records.vectors import describe_records
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
    tokens = _tokens([document for record in records for document in record.documents], tokenizer)
    sizes = [len(record.documents) for record in records]
    described = _sizes(sizes, [sum(labels_of(record.documents)) for record in records], tokens)
    described["tokens_a_record"] = sum(tokens) / len(records)
    return described if encoder is None else described | {"retrieval": _ranked(records, encoder)}


def describe_corpus(
    searched: OpenRetrieval, tokenizer: PreTrainedTokenizerFast, encoder: FeatureEncoder | None = None
) -> dict[str, Any]:
    """Sizes of a corpus and its questions; with an encoder also how well it finds their passages in all of it."""
    tokens, count = _tokens(searched.corpus, tokenizer), len(searched.questions)
    described = _sizes([len(searched.corpus)] * count, [len(q.relevant) for q in searched.questions], tokens)
    described["tokens_a_record"] = sum(tokens)
    return described if encoder is None else described | {"retrieval": _found(searched, encoder)}


def _sizes(documents: Sequence[int], relevant: Sequence[int], tokens: Sequence[int]) -> dict[str, Any]:
    """By numbers of documents and of relevant ones of each record, and each document's tokens."""
    return {
        "records": len(documents),
        "documents_mean": fmean(documents),
        "documents_range": [min(documents), max(documents)],
        "relevant_mean": fmean(relevant),
        "without_relevant": list(relevant).count(0),
        "tokens_a_document": fmean(tokens),
    }


def _tokens(documents: Sequence[Document], tokenizer: PreTrainedTokenizerFast) -> list[int]:
    counts: list[int] = []
    for start in range(0, len(documents), TEXTS_AT_ONCE):
        texts = [document.passage for document in documents[start : start + TEXTS_AT_ONCE]]
        # Half a character (a lone surrogate) can't be tokenised; the replacement character stands for it.
        texts = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        counts += [len(encoding.ids) for encoding in tokenizer.backend_tokenizer.encode_batch(texts, False)]
    return counts


def _ranked(records: Sequence[Record], encoder: FeatureEncoder) -> dict[str, Any]:
    measured = [record for record in records if any(labels_of(record.documents))]
    lists = [rank_by_similarity(ranked) for ranked in describe_records(encoder, measured, progress=True)]
    return ranking_figures([labels_of(ranked.documents) for ranked in lists])


def _found(searched: OpenRetrieval, encoder: FeatureEncoder) -> dict[str, Any]:
    found = searched.search(encoder, SEARCHED).tolist()
    pairs = [(places, q.relevant) for places, q in zip(found, searched.questions, strict=True) if q.relevant]
    labels = [[place in relevant for place in places] for places, relevant in pairs]
    return ranking_figures(labels, [len(relevant) for _, relevant in pairs])
