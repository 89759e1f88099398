from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from r2ag.encoder.encoder import FeatureEncoder
from r2ag.errors import InputError
from r2ag.training.encoder import EncoderTrainingConfig, _loss, train_encoder
from tests.tiny import tiny_encoder_folder
from tests.training.conftest import RECORDS

CONFIG = EncoderTrainingConfig(epochs=12, batch_size=8, negatives=2, learning_rate=1e-2, lora_rank=4, max_tokens=64)
QUESTIONS = [record.question for record in RECORDS]


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return tiny_encoder_folder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def tune(base, tmp_path_factory) -> Callable[[], tuple[FeatureEncoder, Path]]:
    """Trains once more, from the same start: the encoder as it is in memory, and its LoRA's folder."""

    def tune() -> tuple[FeatureEncoder, Path]:
        encoder = FeatureEncoder.from_pretrained(str(base), device="cpu")
        output = tmp_path_factory.mktemp("lora")
        train_encoder(encoder, RECORDS, output, CONFIG)
        return encoder, output

    return tune


@pytest.fixture(scope="module")
def tuned(tune) -> tuple[FeatureEncoder, Path]:
    return tune()


def margin(encoder: FeatureEncoder) -> float:
    """By how much the relevant document is nearer to its question than the mean of the others."""
    margins = []
    for record in RECORDS:
        ranked = encoder.describe(record.question, record.documents)
        nearness = ranked.document_vectors @ ranked.query_vector
        margins.append(nearness[0] - nearness[1:].mean())
    return float(np.mean(margins))


def test_a_lora_is_written_that_changes_the_vectors(base, tuned):
    in_memory, folder = tuned
    assert {file.name for file in folder.iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    before = FeatureEncoder.from_pretrained(str(base), device="cpu")
    after = FeatureEncoder.from_pretrained(str(base), folder, device="cpu")
    np.testing.assert_allclose(after.encode_queries(QUESTIONS), in_memory.encode_queries(QUESTIONS), atol=1e-5)
    assert not np.allclose(after.encode_queries(QUESTIONS), before.encode_queries(QUESTIONS), atol=0.05)
    assert margin(after) > margin(before) + 0.1


def test_the_same_seed_writes_the_same_lora(tune, tuned):
    _, again = tune()
    file = "adapter_model.safetensors"
    assert (again / file).read_bytes() == (tuned[1] / file).read_bytes()


def test_the_encoder_reads_as_much_as_before(base, tuned):
    before = FeatureEncoder.from_pretrained(str(base), device="cpu")
    assert tuned[0].model.max_seq_length == before.model.max_seq_length != CONFIG.max_tokens


def test_prompts_and_similarity_are_those_of_the_features(tmp_path):
    folder = tiny_encoder_folder(tmp_path / "encoder", similarity="dot", query_prompt="Represent the question: ")
    encoder = FeatureEncoder.from_pretrained(str(folder), device="cpu")
    seen: list[dict[str, torch.Tensor]] = []
    encoder.model.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    train_encoder(encoder, RECORDS, tmp_path / "lora", replace(CONFIG, epochs=1))
    batches = [encoder.model.tokenizer.batch_decode(given["input_ids"], skip_special_tokens=True) for given in seen]
    texts = [text.lower().replace(" ", "") for batch in batches for text in batch]
    assert {"represent" in text for text in texts if "whenwasthebridge" in text} == {True}
    assert {"represent" in text for text in texts if "wasbuiltin" in text} == {False}


def test_too_few_records_for_one_step(tmp_path, base):
    encoder = FeatureEncoder.from_pretrained(str(base), device="cpu")
    with pytest.raises(InputError, match="too few for one step of 8"):
        train_encoder(encoder, RECORDS[:3], tmp_path / "lora", CONFIG)
    assert not (tmp_path / "lora" / "adapter_model.safetensors").exists()


def test_the_loss_is_over_the_similarity_of_the_features(tmp_path):
    for similarity, expected in (("cosine", 20.0), ("dot", 9.0)):
        folder = tiny_encoder_folder(tmp_path / similarity, similarity)
        loss = _loss(FeatureEncoder.from_pretrained(str(folder), device="cpu"), CONFIG.scale)
        vectors = torch.tensor([[3.0, 0.0], [0.0, 1.0]])
        scores = loss.similarity_fct(vectors, vectors) * loss.scale
        assert scores[0, 0] == pytest.approx(expected)
