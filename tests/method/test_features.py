from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from r2ag.method.features import list_features, retrieval_features
from r2ag.types import Document, RankedList, Similarity
from tests.tiny import some_documents, tiny_encoder

SIMILARITIES = ("cosine", "dot")


def by_hand(query: np.ndarray, documents: np.ndarray, similarity: Similarity) -> np.ndarray:
    """Equations 10-12, one document after the other, in float64."""

    def direction(vector: np.ndarray) -> np.ndarray:
        return vector / np.linalg.norm(vector) if vector.any() else vector

    def sim(a: np.ndarray, b: np.ndarray) -> float:
        return float(direction(a) @ direction(b) if similarity == "cosine" else a @ b)

    query, documents = query.astype(np.float64), documents.astype(np.float64)
    if similarity == "cosine":
        documents = np.stack([direction(document) for document in documents])
    k = len(documents)
    relevance = [sim(query, document) for document in documents]
    weights = np.exp(np.array(relevance) - max(relevance))
    weights /= weights.sum()
    features = np.zeros((k, 3))
    for i in range(k):
        features[i, 0] = relevance[i]
        if i > 0:
            features[i, 1] = sim(documents[i], sum(weights[j] * documents[j] for j in range(i)))
        neighbours = [sim(documents[i], documents[j]) for j in (i - 1, i + 1) if 0 <= j < k]
        features[i, 2] = np.mean(neighbours) if neighbours else 0.0
    return features


def features_of(query: np.ndarray, documents: np.ndarray, similarity: Similarity) -> np.ndarray:
    mask = torch.ones(1, len(documents), dtype=torch.bool)
    query_, documents_ = torch.tensor(query)[None].float(), torch.tensor(documents)[None].float()
    return retrieval_features(query_, documents_, mask, similarity)[0].numpy()


def ranked_list(generator: np.random.Generator, k: int, dimension: int = 16) -> RankedList:
    vectors = (generator.standard_normal((k + 1, dimension)) / dimension**0.5).astype(np.float32)
    return RankedList("q", tuple(Document(str(i)) for i in range(k)), vectors[0], vectors[1:])


@given(
    seed=st.integers(0, 10_000),
    k=st.integers(1, 32),
    dimension=st.integers(8, 64),
    scale=st.floats(0.01, 2),
    similarity=st.sampled_from(SIMILARITIES),
)
def test_the_equations_one_document_after_the_other(seed, k, dimension, scale, similarity):
    generator = np.random.default_rng(seed)
    ranked = ranked_list(generator, k, dimension)
    query, documents = ranked.query_vector * np.float32(scale), ranked.document_vectors * np.float32(scale)
    expected = by_hand(query, documents, similarity)
    np.testing.assert_allclose(features_of(query, documents, similarity), expected, atol=1e-5, rtol=1e-5)


@given(lengths=st.lists(st.integers(1, 32), min_size=1, max_size=6), similarity=st.sampled_from(SIMILARITIES))
def test_lists_of_unequal_length_in_one_batch(lengths, similarity):
    generator = np.random.default_rng(len(lengths))
    lists = [ranked_list(generator, k) for k in lengths]
    features, mask = list_features(lists, similarity)
    assert mask.sum(dim=1).tolist() == lengths
    for row, real, ranked in zip(features, mask, lists, strict=True):
        expected = by_hand(ranked.query_vector, ranked.document_vectors, similarity)
        np.testing.assert_allclose(row[real].numpy(), expected, atol=1e-5)
        assert (row[~real] == 0).all()


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("padding", [1e30, -1e30, torch.inf, torch.nan])
def test_what_stands_in_the_padding_never_matters(similarity, padding):
    query, documents = torch.randn(2, 8), torch.randn(2, 5, 8)
    mask = torch.tensor([[True] * 3 + [False] * 2, [True] * 5])
    expected = retrieval_features(query, documents, mask, similarity)
    spoilt = documents.masked_fill(~mask[..., None], padding)
    assert torch.equal(retrieval_features(query, spoilt, mask, similarity), expected)
    assert torch.equal(expected[:1, :3], retrieval_features(query[:1], documents[:1, :3], mask[:1, :3], similarity))


def test_dot_products_that_overflow_exp():
    # Integers, so that float32 holds every product exactly and only the softmax can go wrong.
    documents = np.array([[9.0, -20.0], [30.0, 7.0], [30.0, 8.0], [-40.0, 1.0], [29.0, 10.0]])
    query = np.array([300.0, 1.0])
    expected = by_hand(query, documents, "dot")
    assert expected[:, 0].max() > 9_000
    features = features_of(query, documents, "dot")
    np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_one_document_has_only_its_relevance(similarity):
    features = features_of(np.array([0.6, 0.8]), np.array([[0.8, 0.6]]), similarity)
    np.testing.assert_allclose(features, [[0.96, 0.0, 0.0]], rtol=1e-6)


def test_copies_of_one_document():
    features = features_of(np.array([0.6, 0.8]), np.array([[0.8, 0.6]] * 4), "cosine")
    np.testing.assert_allclose(features, [[0.96, 0, 1]] + [[0.96, 1, 1]] * 3, rtol=1e-6)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("zero", ["query", "first", "middle", "all"])
def test_zero_vectors(similarity, zero):
    ranked = ranked_list(np.random.default_rng(3), 5)
    query, documents = ranked.query_vector.copy(), ranked.document_vectors.copy()
    if zero in ("query", "all"):
        query[:] = 0
    documents[{"query": [], "first": [0], "middle": [2], "all": range(5)}[zero]] = 0
    expected = by_hand(query, documents, similarity)
    np.testing.assert_allclose(features_of(query, documents, similarity), expected, atol=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_documents_that_cancel_out(seed):
    # Their weighted sum is nothing but rounding errors, which must not be blown up into a direction.
    generator = np.random.default_rng(seed)
    query, document, other = generator.standard_normal((3, 16))
    document -= (document @ query) / (query @ query) * query
    documents = np.stack([document, -document, other])
    assert abs(features_of(query, documents, "cosine")[2, 1]) < 0.05


def test_features_depend_on_the_order_of_the_documents():
    ranked = ranked_list(np.random.default_rng(0), 4)
    order = [2, 0, 3, 1]
    (there, again), _ = list_features([ranked, ranked.reordered(order)], "cosine")
    torch.testing.assert_close(again[:, 0], there[order, 0])
    assert not torch.allclose(again[:, 1:], there[order, 1:])


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_gradients_are_finite(similarity):
    documents = torch.randn(2, 6, 8)
    documents[0, 0] = 0.0
    documents[1, 2] = documents[1, 1]
    documents[1] *= 100.0
    query = torch.randn(2, 8, requires_grad=True)
    documents.requires_grad_()
    mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    retrieval_features(query, documents, mask, similarity).sum().backward()
    assert query.grad.isfinite().all()
    assert documents.grad.isfinite().all()
    assert (query.grad != 0).any()
    assert (documents.grad[~mask] == 0).all()


def test_finders_scores_join_by_name_and_features_can_be_left_out():
    described = tiny_encoder().describe("Which bridge?", some_documents(3))
    scored = tuple(
        replace(document, scores={"bm25": 10.0 * place} if place else {})
        for place, document in enumerate(described.documents)
    )
    ranked = replace(described, documents=scored)
    features, mask = list_features([ranked, ranked.reordered([1])], "cosine", ("neighbour", "bm25", "relevance"))
    plain, _ = list_features([ranked, ranked.reordered([1])], "cosine")
    assert torch.equal(features[..., 0], plain[..., 2])
    assert torch.equal(features[..., 2], plain[..., 0])
    assert features[0, 0, 1].isnan()
    assert features[:, :, 1].nan_to_num(-1.0).tolist() == [[-1.0, 10.0, 20.0], [10.0, 0.0, 0.0]]
    assert mask.tolist() == [[True] * 3, [True, False, False]]
