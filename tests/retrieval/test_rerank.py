from __future__ import annotations

from pathlib import Path

import pytest

from r2ag.errors import InputError
from r2ag.retrieval import BM25Finder, DenseFinder
from r2ag.retrieval.rerank import RerankedFinder, load_cross_encoder
from r2ag.store import Store
from tests.store.conftest import put
from tests.tiny import tiny_cross_encoder_folder, tiny_encoder

QUESTION = "Which bridge is the oldest?"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Made with a real, random sentence-transformers model."""
    encoder = tiny_encoder()
    store = Store.create(tmp_path / "store", encoder)
    for number in range(8):
        put(store, encoder, f"{number}.md", f"The bridge number {number} was built in {1400 + number}.")  # type: ignore[arg-type]
    return store


def test_the_cross_encoders_order_and_the_documents_own_vectors(store, tmp_path):
    model = load_cross_encoder(str(tiny_cross_encoder_folder(tmp_path / "model")))
    finder = DenseFinder(store, tiny_encoder())
    candidates = finder.find(QUESTION, 6)
    scores = model.predict([(QUESTION, document.text) for document in candidates.documents])
    expected = sorted(zip(scores.tolist(), candidates.documents, strict=True), key=lambda pair: -pair[0])[:3]
    found = RerankedFinder(finder, model, depth=6).find(QUESTION, 3)
    assert found.documents == tuple(document for _, document in expected)
    assert found.documents != candidates.documents[:3]
    assert list(found.scores) == pytest.approx([score for score, _ in expected], abs=1e-5)
    assert found.vectors == pytest.approx(tiny_encoder().encode_documents(found.documents), abs=1e-5)
    assert found.encoder is store.encoder
    assert len(RerankedFinder(BM25Finder(store), model).find("nothing of this", 3)) == 0
    assert len(RerankedFinder(finder, model, depth=2).find(QUESTION, 5)) == 5


def test_models_that_are_no_reranker(tmp_path):
    with pytest.raises(InputError, match="reranker"):
        load_cross_encoder(str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="3 scores to a pair"):
        load_cross_encoder(str(tiny_cross_encoder_folder(tmp_path / "three", labels=3)))
