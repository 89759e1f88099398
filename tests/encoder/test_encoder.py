from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from r2ag.encoder.encoder import FeatureEncoder, rank_by_similarity
from r2ag.errors import InputError
from r2ag.types import Document, RankedList
from tests.tiny import HIDDEN, some_documents, tiny_encoder, tiny_encoder_folder

QUESTION = "Who built the old bridge?"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tiny_encoder_folder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def encoder(folder) -> FeatureEncoder:
    return FeatureEncoder.from_pretrained(str(folder), device="cpu")


@pytest.fixture(scope="module")
def dot_encoder(tmp_path_factory) -> FeatureEncoder:
    """Like E5 or Contriever: dot product, and another prompt for queries than for documents."""
    folder = tiny_encoder_folder(tmp_path_factory.mktemp("encoder"), "dot", "query: ")
    return FeatureEncoder.from_pretrained(str(folder), device="cpu")


def lengths(vectors: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vectors, axis=-1)


def test_vectors_of_a_cosine_encoder_have_unit_length(encoder):
    vectors = encoder.encode_documents(some_documents(3))
    assert encoder.similarity == "cosine"
    assert (vectors.shape, vectors.dtype) == ((3, HIDDEN), np.float32)
    np.testing.assert_allclose(lengths(vectors), 1.0, rtol=1e-5)
    np.testing.assert_allclose(lengths(encoder.encode_queries([QUESTION])), 1.0, rtol=1e-5)


def test_vectors_of_a_dot_product_encoder_keep_their_length(encoder, dot_encoder):
    vectors = dot_encoder.encode_documents(some_documents(3))
    assert dot_encoder.similarity == "dot"
    assert (lengths(vectors) > 1.5).all()
    expected = encoder.encode_documents(some_documents(3))  # the same weights
    np.testing.assert_allclose(vectors / lengths(vectors)[:, None], expected, atol=1e-5)


def test_queries_and_documents_get_their_own_prompts(encoder, dot_encoder):
    asked = dot_encoder.encode_queries([QUESTION])
    stored = dot_encoder.encode_documents([Document(f"query: {QUESTION}")])
    np.testing.assert_allclose(asked, stored, atol=1e-5)
    assert not np.allclose(asked, dot_encoder.encode_documents([Document(QUESTION)]))
    np.testing.assert_allclose(
        encoder.encode_queries([QUESTION]), encoder.encode_documents([Document(QUESTION)]), atol=1e-6
    )


def test_the_title_is_read(encoder):
    titled, joined, bare = encoder.encode_documents(
        [Document("It fell.", title="The bridge"), Document("The bridge\nIt fell."), Document("It fell.")]
    )
    np.testing.assert_allclose(titled, joined, atol=1e-6)
    assert not np.allclose(titled, bare)


def test_nothing_to_encode(encoder):
    assert encoder.encode_queries([]).shape == (0, HIDDEN)


def test_tokens_are_counted_as_the_encoder_reads_them(encoder):
    assert encoder.count_tokens("") == 0
    special = encoder.model.tokenizer.num_special_tokens_to_add()
    assert (
        encoder.count_tokens("the old bridge ?")
        == len(encoder.model.tokenizer("the old bridge ?")["input_ids"]) - special
    )
    assert encoder.count_tokens("the old bridge \udcff") == encoder.count_tokens("the old bridge ?")
    assert 0 < encoder.passage_tokens <= encoder.model.max_seq_length - special


def test_lone_surrogates_are_encoded(encoder):
    assert np.isfinite(encoder.encode_queries(["old \ud800 bridge"])).all()


def test_describe_keeps_the_order_and_takes_stored_vectors(encoder):
    documents = some_documents(4)
    described = encoder.describe(QUESTION, documents)
    assert described.documents == documents
    np.testing.assert_allclose(described.document_vectors, encoder.encode_documents(documents), atol=1e-6)
    np.testing.assert_allclose(described.query_vector, encoder.encode_queries([QUESTION])[0], atol=1e-6)
    stored = np.eye(4, HIDDEN)  # float64, as a store may give them
    taken = encoder.describe(QUESTION, documents, stored).document_vectors
    assert taken.dtype == np.float32
    assert np.array_equal(taken, stored)


@pytest.mark.parametrize(
    "vectors", [np.ones((3, HIDDEN)), np.ones((2, HIDDEN + 1)), np.ones(HIDDEN), np.full((2, HIDDEN), np.nan)]
)
def test_vectors_that_cannot_be_this_encoders_are_refused(encoder, vectors):
    with pytest.raises(InputError, match="2 documents of the encoder"):
        encoder.describe(QUESTION, some_documents(2), vectors)


def test_rank_is_by_falling_similarity(encoder):
    documents = some_documents(6)
    ranked = encoder.rank(QUESTION, documents)
    scores = ranked.document_vectors @ ranked.query_vector
    assert sorted(scores, reverse=True) == scores.tolist()
    assert len(set(scores.tolist())) == 6
    assert set(ranked.documents) == set(documents)
    np.testing.assert_allclose(ranked.document_vectors, encoder.encode_documents(ranked.documents), atol=1e-6)


def test_ties_do_not_depend_on_the_order_in_which_documents_came():
    documents = tuple(Document(text) for text in "cabd")
    vectors = np.array([[1, 0], [1, 0], [0.5, 0], [2, 0]], dtype=np.float32)
    ranked = RankedList(QUESTION, documents, np.array([1, 0], dtype=np.float32), vectors)
    for order in ([0, 1, 2, 3], [1, 0, 3, 2], [3, 2, 1, 0]):
        assert "".join(d.text for d in rank_by_similarity(ranked.reordered(order)).documents) == "dacb"


@pytest.fixture(scope="module")
def lora(folder, tmp_path_factory) -> Path:
    """A LoRA with random weights, written as training writes it."""
    import torch
    from peft import LoraConfig

    model = SentenceTransformer(str(folder), device="cpu")
    model.add_adapter(LoraConfig(r=2, lora_alpha=4, target_modules="all-linear", init_lora_weights=False))
    with torch.no_grad():
        output = tmp_path_factory.mktemp("lora")
        model.transformers_model.save_pretrained(str(output))
        np.save(output / "expected.npy", model.encode([QUESTION], normalize_embeddings=True))
    return output


def test_a_lora_is_merged_at_load(folder, encoder, lora):
    tuned = FeatureEncoder.from_pretrained(str(folder), lora, device="cpu")
    np.testing.assert_allclose(tuned.encode_queries([QUESTION]), np.load(lora / "expected.npy"), atol=1e-5)
    assert not np.allclose(tuned.encode_queries([QUESTION]), encoder.encode_queries([QUESTION]), atol=1e-2)
    layers = [module for module in tuned.model.modules() if hasattr(module, "merged")]
    assert layers
    assert all(layer.merged for layer in layers)


def test_a_fingerprint_names_the_weights(folder, encoder, lora):
    tuned = FeatureEncoder.from_pretrained(str(folder), lora, device="cpu")
    again = FeatureEncoder.from_pretrained(str(folder), device="cpu")
    assert encoder.fingerprint == again.fingerprint != tuned.fingerprint


def test_a_folder_without_a_lora_is_refused(folder, tmp_path):
    with pytest.raises(InputError, match=r"holds no encoder LoRA .*r2ag train-encoder"):
        FeatureEncoder.from_pretrained(str(folder), tmp_path, device="cpu")


@pytest.mark.model
def test_the_default_encoder_knows_what_belongs_together():
    from r2ag.models import DEFAULT_RETRIEVER

    encoder = FeatureEncoder.from_pretrained(DEFAULT_RETRIEVER, device="cpu")
    texts = ("Butter and flour make a dough.", "The bridge was built by a mason in 1471.", "Cats sleep all day.")
    ranked = encoder.rank(QUESTION, [Document(text) for text in texts])
    assert (encoder.similarity, encoder.dimension) == ("cosine", 384)
    assert ranked.documents[0].text == texts[1]


def test_the_fingerprint_does_not_depend_on_threads():
    threads = torch.get_num_threads()
    try:
        found = set()
        for count in (1, 2):
            torch.set_num_threads(count)
            found.add(tiny_encoder().fingerprint)
        assert len(found) == 1
    finally:
        torch.set_num_threads(threads)
