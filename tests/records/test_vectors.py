from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from r2ag.records.vectors import describe_records
from r2ag.types import Document, Record


class CountingEncoder:
    """Vectors drawn from the text's own letters; counts what it is asked to encode."""

    def __init__(self, fingerprint: str = "one") -> None:
        self.fingerprint = fingerprint
        self.encoded: list[str] = []

    def encode_queries(self, queries: Sequence[str]) -> np.ndarray:
        return self._encode([f"query {query}" for query in queries])

    def encode_documents(self, documents: Sequence[Document], progress: bool = False) -> np.ndarray:
        return self._encode([document.passage for document in documents])

    def _encode(self, texts: Sequence[str]) -> np.ndarray:
        self.encoded += texts
        return np.stack([self.vector(text) for text in texts])

    def vector(self, text: str) -> np.ndarray:
        seed = int.from_bytes(f"{self.fingerprint}{text}".encode("utf-8", "surrogatepass"), "big")
        return np.random.default_rng(seed).standard_normal(4).astype(np.float32)


def record(question: str, *texts: str) -> Record:
    return Record("id", question, ("a",), tuple(Document(text, relevant=i == 0) for i, text in enumerate(texts)))


RECORDS = [record("who?", "x", "y"), record("why?", "y", "z", "x"), record("\ud800", "w")]


@pytest.mark.parametrize("cached", [False, True])
def test_each_record_gets_the_vectors_of_its_own_documents(tmp_path, cached):
    for _ in range(2):
        encoder = CountingEncoder()
        lists = describe_records(encoder, RECORDS, tmp_path if cached else None)
        assert [ranked.question for ranked in lists] == ["who?", "why?", "\ud800"]
        for ranked, source in zip(lists, RECORDS, strict=True):
            assert ranked.documents == source.documents
            assert np.array_equal(ranked.query_vector, encoder.vector(f"query {source.question}"))
            assert np.array_equal(ranked.document_vectors, np.stack([encoder.vector(d.text) for d in source.documents]))


def test_equal_passages_are_encoded_once():
    encoder = CountingEncoder()
    describe_records(encoder, RECORDS)
    assert sorted(text for text in encoder.encoded if not text.startswith("query")) == ["w", "x", "y", "z"]


def test_the_second_time_nothing_is_encoded(tmp_path):
    describe_records(CountingEncoder(), RECORDS, tmp_path / "new")
    again = CountingEncoder()
    describe_records(again, RECORDS, tmp_path / "new")
    assert again.encoded == []
    assert len(list((tmp_path / "new").iterdir())) == 1


@pytest.mark.parametrize(
    ("encoder", "records"),
    [
        (CountingEncoder("other"), RECORDS),
        (CountingEncoder(), RECORDS[:2]),
        (CountingEncoder(), RECORDS[::-1]),
        (CountingEncoder(), [record("who?", "x", "y", "why?", "y", "z", "x", "\ud800", "w")]),
        (CountingEncoder(), [record("who?", "x"), record("y", "why?", "y", "z", "x"), RECORDS[2]]),
    ],
)
def test_other_texts_or_another_encoder_never_get_stored_vectors(tmp_path, encoder, records):
    describe_records(CountingEncoder(), RECORDS, tmp_path)
    describe_records(encoder, records, tmp_path)
    assert encoder.encoded
