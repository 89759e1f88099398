from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from r2ag.adapter.adapter import Adapter
from r2ag.method.calibration import Calibration
from r2ag.method.former import FormerOutput
from r2ag.training.calibrate import calibrate
from r2ag.training.lists import DescribedRecord
from r2ag.types import RankedList
from tests.tiny import some_documents, tiny_adapter, tiny_llm, tiny_tokenizer
from tests.training.conftest import RECORDS


class Similarity(nn.Module):
    """An R²-Former whose logit is three times the similarity."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(3.0))

    def forward(self, features: Tensor, mask: Tensor, products: Tensor | None = None) -> FormerOutput:
        return FormerOutput(self.scale * features[..., 0], torch.zeros(*mask.shape, 1, 1))


@pytest.fixture
def adapter() -> Adapter:
    tokenizer = tiny_tokenizer()
    made = tiny_adapter(tiny_llm(vocabulary=len(tokenizer)), tokenizer)
    made.former = Similarity()
    return made


def listed(similarities: list[float]) -> DescribedRecord:
    """A record whose first document alone is relevant."""
    vectors = np.array([[s, np.sqrt(1 - s * s)] for s in similarities], dtype=np.float32)
    query = np.array([1, 0], dtype=np.float32)
    return DescribedRecord(RECORDS[0], RankedList("q", some_documents(len(similarities)), query, vectors))


def noisy_lists(count: int, seed: int) -> list[DescribedRecord]:
    generator = np.random.default_rng(seed)
    return [listed([generator.uniform(0.3, 1.0), *generator.uniform(-0.5, 0.6, 3)]) for _ in range(count)]


def test_probabilities_are_right_on_average_with_and_without_relevant_documents(adapter):
    records = noisy_lists(200, seed=0)
    fitted = calibrate(adapter, records, noisy_lists(200, seed=1), "200 records")
    assert fitted.fitted_on == "200 records"
    similarity = np.concatenate([one.ranked.document_vectors[:, 0] for one in records]).reshape(200, 4)
    whole, rest = similarity.ravel(), similarity[:, 1:].ravel()
    total = sum(fitted.probability(3 * float(s)) for s in (*whole, *rest))
    assert total == pytest.approx(200, rel=0.01)
    assert 0 < fitted.probability(3 * 0.3) < 0.5 < fitted.probability(3 * 0.9)


def test_the_threshold_tells_lists_with_a_relevant_document_from_those_without(adapter):
    fitted = calibrate(adapter, noisy_lists(50, seed=0), [listed([0.8, 0.2, 0.4]), listed([0.7, 0.3])], "some")
    below, above = fitted.probability(3 * 0.4), fitted.probability(3 * 0.7)
    assert fitted.threshold == pytest.approx((below + above) / 2)


def test_what_is_not_fitted_stays(adapter):
    adapter = adapter.with_calibration(Calibration(prune_threshold=0.2))
    assert calibrate(adapter, noisy_lists(5, 0), noisy_lists(5, 1), "some").prune_threshold == 0.2


def test_lists_are_cut_to_what_the_adapter_takes_and_relevant_ones_may_be_all(adapter):
    long, only = listed([0.9, *[0.1] * 20]), listed([0.9])
    assert calibrate(adapter, [long, only], [long, only], "some").slope > 0


def test_a_list_without_its_relevant_documents():
    ranked = listed([0.9, 0.1, 0.2]).ranked
    rest = ranked.without_relevant()
    assert rest.documents == ranked.documents[1:]
    assert np.array_equal(rest.document_vectors, ranked.document_vectors[1:])
    assert replace(ranked, documents=ranked.documents[:1]).without_relevant() is None
