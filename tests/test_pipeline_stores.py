"""A pipeline that asks a store, or another finder."""

from __future__ import annotations

import pytest

from r2ag.errors import InputError
from r2ag.retrieval import BM25Finder, DenseFinder
from r2ag.store import Store, StoredFile
from tests.hashing import HashingEncoder
from tests.test_pipeline import QUESTION, new_pipeline, probabilities
from tests.tiny import some_documents, tiny_encoder


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store.create(tmp_path_factory.mktemp("store") / "store", tiny_encoder())
    with store.writing() as writer, writer.batch():
        for number, document in enumerate(some_documents(7)):
            file = StoredFile(f"{number}.md", "digest", 1, 0.0, {"number": number})
            writer.put(file, [document], tiny_encoder().encode_documents([document]))
    return store


def test_a_store_gives_what_the_same_documents_held_give(store, monkeypatch):
    held, stored = new_pipeline(), new_pipeline()
    held.add(some_documents(7))
    expected = held.ask(QUESTION, k=4, max_new_tokens=8)
    stored.use(store)
    monkeypatch.setattr(stored.encoder, "encode_documents", lambda documents: pytest.fail("encoded again"))
    answer = stored.ask(QUESTION, k=4, max_new_tokens=8)
    assert [d.document.text for d in answer.documents] == [d.document.text for d in expected.documents]
    assert [d.document.source for d in answer.documents] != [d.document.source for d in expected.documents]
    assert probabilities(answer) == pytest.approx(probabilities(expected), abs=1e-5)
    assert answer.text == expected.text
    assert stored.ask_plain(stored.find(QUESTION, k=4), 8) == held.ask_plain(held.find(QUESTION, k=4), 8)


def test_the_pipelines_encoder_describes_what_another_finder_found(tmp_path):
    pipeline, other = new_pipeline(), HashingEncoder()
    store = Store.create(tmp_path / "store", other)
    documents = some_documents(5)
    with store.writing() as writer, writer.batch():
        writer.put(StoredFile("a.md", "digest", 1, 0.0, {}), documents, other.encode_documents(documents))
    with pytest.raises(InputError, match="holds vectors of the encoder hashing"):
        pipeline.use(store)
    pipeline.use(DenseFinder(store, other))
    ranked = pipeline.find(QUESTION, k=3).ranked
    expected = DenseFinder(store, other).find(QUESTION, 3).documents
    assert ranked.documents == expected
    assert ranked.document_vectors == pytest.approx(pipeline.encoder.encode_documents(expected), abs=1e-6)


def test_a_condition_narrows_the_store(store):
    pipeline = new_pipeline()
    pipeline.use(store)
    answer = pipeline.ask(QUESTION, where="number in (2, 4)", max_new_tokens=1)
    assert {document.document.source for document in answer.documents} == {"2.md", "4.md"}
    with pytest.raises(InputError, match="--where"):
        pipeline.ask(QUESTION, where="number")


def test_where_nothing_is_found_the_answer_says_so(store):
    pipeline = new_pipeline()
    pipeline.use(BM25Finder(store))
    for answer in (pipeline.ask("?!"), pipeline.ask(QUESTION, where="number > 99", abstain=False)):
        assert (answer.abstained, answer.text, answer.documents, answer.citations) == (True, "", (), ())
        assert answer.models == pipeline.ask(QUESTION, max_new_tokens=1).models
        assert answer.timings_ms.keys() == pipeline.ask(QUESTION, max_new_tokens=1).timings_ms.keys()
    assert pipeline.ask_plain(pipeline.find("?!")) == ""


def test_a_pipeline_with_a_store_holds_nothing_and_one_without_knows_no_condition(store):
    with pytest.raises(InputError, match="give the pipeline one"):
        new_pipeline().find(QUESTION, some_documents(1), where="number = 1")
    other = new_pipeline()
    other.use(store)
    with pytest.raises(InputError, match="add the documents there"):
        other.add(some_documents(1))
