from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from r2ag.evaluation.describe import describe_corpus, describe_data
from r2ag.records.formats import read_data_set
from r2ag.records.formats.beir import OpenRetrieval, Question
from r2ag.types import Document, Record
from tests.tiny import tiny_encoder, tiny_tokenizer

TOKENIZER = tiny_tokenizer("bytes")
BRIDGE, RIVER = Document("It was built in 1471.", "Bridge", relevant=True), Document("It is long.", relevant=False)
RECORDS = [
    Record("1", "When was it built?", ("1471",), (RIVER, BRIDGE)),
    Record("2", "How long is it?", ("very",), (RIVER,)),
]


def test_sizes_by_hand() -> None:
    found = describe_data(RECORDS, TOKENIZER)
    bridge, river = (len(TOKENIZER(d.passage, add_special_tokens=False)["input_ids"]) for d in (BRIDGE, RIVER))
    assert found == {
        "records": 2,
        "documents_mean": 1.5,
        "documents_range": [1, 2],
        "relevant_mean": 0.5,
        "without_relevant": 1,
        "tokens_a_document": pytest.approx((bridge + 2 * river) / 3),
        "tokens_a_record": (bridge + 2 * river) / 2,
    }


def test_ranking_takes_no_notice_of_the_given_order() -> None:
    encoder = tiny_encoder()
    reversed_ = [replace(record, documents=record.documents[::-1]) for record in RECORDS]
    figures = describe_data(RECORDS, TOKENIZER, encoder)["retrieval"]
    assert figures == describe_data(reversed_, TOKENIZER, encoder)["retrieval"]
    assert figures["records"] == 1
    similar = encoder.rank("When was it built?", [RIVER, BRIDGE]).documents[0] is BRIDGE
    assert figures["map"] == (1 if similar else 0.5)


def test_a_corpus_is_searched_as_a_whole() -> None:
    corpus = tuple(Document(f"Bridge {number} of {year}.") for number, year in enumerate(range(1400, 1410)))
    encoder = tiny_encoder()
    question = Question("q", "Which bridge of 1403?", ("3",), frozenset({3, 7}))
    found = describe_corpus(OpenRetrieval("set", corpus, (question,)), TOKENIZER, encoder)
    assert (found["records"], found["documents_mean"], found["relevant_mean"]) == (1, 10, 2)
    scores = encoder.encode_documents(corpus) @ encoder.encode_queries([question.text])[0]
    ranks = sorted(int((scores > scores[place]).sum()) + 1 for place in (3, 7))
    assert found["retrieval"]["map"] == pytest.approx((1 / ranks[0] + 2 / ranks[1]) / 2)
    assert np.isfinite(found["tokens_a_document"])


@pytest.mark.skipif("R2AG_DATA" not in os.environ, reason="R2AG_DATA names no folder with real records")
@pytest.mark.parametrize(
    ("name", "documents", "relevant"), [("nq-20-train", 20, 1), ("hotpotqa-train", 10, 2), ("musique-train", 20, 2)]
)
def test_real_records(name: str, documents: int, relevant: int) -> None:
    found = read_data_set(Path(os.environ["R2AG_DATA"]) / f"{name}.jsonl.gz")
    described = describe_data(found.records, TOKENIZER)
    assert (found.format, found.left_out) == ("r2ag", 0)
    assert described["documents_mean"] == pytest.approx(documents, abs=0.1)
    assert relevant <= described["relevant_mean"] < relevant + 1
    assert described["without_relevant"] == 0
