from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from r2ag.records.vectors import VectorCache, describe_records
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


@pytest.fixture
def filled(tmp_path):
    describe_records(CountingEncoder(), RECORDS, tmp_path / "new")
    return tmp_path / "new"


def test_the_second_time_nothing_is_encoded(filled):
    for records in (RECORDS, RECORDS[::-1], RECORDS[:1]):
        again = CountingEncoder()
        describe_records(again, records, filled)
        assert again.encoded == []
    assert len(list(filled.glob("*.npz"))) == 1


def test_only_new_texts_are_encoded(filled):
    encoder = CountingEncoder()
    new = record("how?", "x", "who?", "v")  # "who?" was a question before, never a document
    (ranked,) = describe_records(encoder, [new], filled)
    assert encoder.encoded == ["query how?", "who?", "v"]
    assert np.array_equal(ranked.document_vectors, np.stack([encoder.vector(text) for text in ("x", "who?", "v")]))
    again = CountingEncoder()
    describe_records(again, [new, *RECORDS], filled)
    assert again.encoded == []


def test_another_encoder_never_gets_stored_vectors(filled):
    other = CountingEncoder("other")
    (ranked, *_) = describe_records(other, RECORDS, filled)
    assert np.array_equal(ranked.query_vector, other.vector("query who?"))


def test_what_another_process_saved_meanwhile_stays(tmp_path):
    first, second = (VectorCache(CountingEncoder(), tmp_path) for _ in range(2))
    for cache, texts in ((first, ["x"]), (second, ["y"])):
        cache.vectors("document", texts, lambda new: np.stack([CountingEncoder().vector(text) for text in new]))
    first.save()
    second.save()
    encoder = CountingEncoder()
    (ranked,) = describe_records(encoder, [record("who?", "x", "y")], tmp_path)
    assert encoder.encoded == ["query who?"]
    assert np.array_equal(ranked.document_vectors, np.stack([encoder.vector(text) for text in ("x", "y")]))


def test_no_records():
    assert describe_records(CountingEncoder(), []) == []
