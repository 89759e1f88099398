from __future__ import annotations

from typing import Any

import pytest
import torch

from r2ag.method.former import R2Former
from r2ag.method.model import R2AGModel, matching_loss
from r2ag.method.prompting import PromptBuilder
from r2ag.training.objective import TrainingModel
from tests.tiny import some_documents, tiny_llm, tiny_tokenizer
from tests.training.conftest import SIZES, TEMPLATE, TEMPLATES

TOKENIZER = tiny_tokenizer("bytes", "chatml")
LENGTHS = (3, 1, 4)


@pytest.fixture
def model() -> R2AGModel:
    llm = tiny_llm(vocabulary=len(TOKENIZER)).requires_grad_(False)
    former = R2Former(SIZES)
    former.scale_anchors_to(llm.get_input_embeddings()(torch.arange(len(TOKENIZER))))
    return R2AGModel(llm, former).eval()


def batch(*answered: bool) -> dict[str, Any]:
    """Lists of LENGTHS documents, those with an answer where `answered` says so."""
    builder = PromptBuilder(TOKENIZER, TEMPLATE)
    mask = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]
    prompts = [builder.build("Which bridge?", some_documents(count), 400) for count in LENGTHS]
    return {
        "features": torch.randn(*mask.shape, 3).masked_fill(~mask[..., None], 0.0),
        "mask": mask,
        "relevant": torch.tensor([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]]),
        "relevance": torch.full(mask.shape, torch.nan),
        "prompts": [prompt if yes else None for prompt, yes in zip(prompts, answered, strict=True)],
        "targets": [
            builder.target(answer) if yes else []
            for answer, yes in zip(("1471", "a", "in 1400"), answered, strict=True)
        ],
        "teachers": [None] * len(LENGTHS),
    }


def language_losses(model: R2AGModel, inputs: dict[str, Any], features: torch.Tensor) -> torch.Tensor:
    anchors = model.describe(features, inputs["mask"]).anchors
    return model.language_loss(inputs["prompts"], anchors, inputs["targets"])


@torch.no_grad()
def test_the_loss_is_the_sum_of_both(model):
    inputs = batch(True, True, True)
    losses = TrainingModel(model)(**inputs)
    logits = model.describe(inputs["features"], inputs["mask"]).logits
    matching = matching_loss(logits, inputs["relevant"], inputs["mask"]).mean()
    language = language_losses(model, inputs, inputs["features"]).mean()
    torch.testing.assert_close(losses["matching_loss"], matching)
    torch.testing.assert_close(losses["language_loss"], language)
    torch.testing.assert_close(losses["loss"], matching + language)


@torch.no_grad()
def test_lists_without_a_prompt_train_matching_alone(model):
    whole, part = batch(True, True, True), batch(True, False, True)
    part["features"] = whole["features"]
    losses = TrainingModel(model)(**part)
    language = language_losses(model, whole, whole["features"])[[0, 2]]
    torch.testing.assert_close(losses["language_loss"], language.mean())
    # Of all the lists, so that micro-batches of any size add up to the same.
    torch.testing.assert_close(losses["loss"], losses["matching_loss"] + language.sum() / 3)


@torch.no_grad()
def test_the_language_loss_weighs_targets_and_the_distance_to_teachers(model):
    inputs = batch(True, False, True)
    builder = PromptBuilder(TOKENIZER, TEMPLATES["raft"])
    teachers = [builder.build("Which bridge?", some_documents(1), 400) for _ in LENGTHS]
    inputs["teachers"] = [teachers[0], None, teachers[2]]
    anchors = model.describe(inputs["features"], inputs["mask"]).anchors[[0, 2]]
    prompts, targets = ([inputs[name][row] for row in (0, 2)] for name in ("prompts", "targets"))
    distances = model.distillation_loss(prompts, anchors, targets, [teachers[0], teachers[2]])
    answers = model.language_loss(prompts, anchors, targets)
    for weights in ({"answers": 0.0, "distillation": 1.0}, {"answers": 1.0, "distillation": 2.0}):
        losses = TrainingModel(model, **weights)(**inputs)
        expected = weights["answers"] * answers + weights["distillation"] * distances
        torch.testing.assert_close(losses["language_loss"], expected.mean())
        torch.testing.assert_close(losses["loss"], losses["matching_loss"] + expected.sum() / 3)


def test_without_any_prompt_the_llm_is_not_read(model, monkeypatch):
    monkeypatch.setattr(model, "llm", None)
    monkeypatch.setattr(type(model), "device", torch.device("cpu"))
    losses = TrainingModel(model)(**batch(False, False, False))
    assert losses["language_loss"].isnan()
    assert torch.equal(losses["loss"], losses["matching_loss"])
    losses["loss"].backward()
    assert all(parameter.grad is not None for parameter in model.former.parameters())
    assert (model.former.projection.weight.grad == 0).all()
    assert (model.former.head.weight.grad != 0).any()


def test_the_matching_loss_may_be_left_out(model):
    inputs = batch(True, False, True)
    both, without = TrainingModel(model)(**inputs), TrainingModel(model, matching=0.0)(**inputs)
    expected = both["loss"].detach() - both["matching_loss"]
    assert without["loss"].detach() == pytest.approx(float(expected), abs=1e-5)
    without["loss"].backward()
    assert model.former.head.weight.grad.abs().sum() == 0  # nothing else teaches the head


def test_what_is_frozen_has_no_dropout_while_the_rest_trains(model):
    training = TrainingModel(model, frozen=[model.llm]).train()
    assert model.former.training
    assert not any(part.training for part in model.llm.modules())
    assert not training.eval().training
