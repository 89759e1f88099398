from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from torch import Tensor
from transformers import Gemma3Config

from r2ag.method.former import FormerConfig, R2Former
from r2ag.method.model import R2AGModel, context_window, matching_loss
from r2ag.method.prefix_cache import Openings
from r2ag.method.prompting import Prompt
from tests.tiny import HIDDEN, LLMS, VOCABULARY, tiny_llm

SLOTS = 2
EVERY_LLM = pytest.mark.parametrize("family", LLMS)
TARGETS = [[7, 9, 2], [5, 2], [11, 12, 13, 14, 2]]


def tiny_model(family: str = "llama") -> R2AGModel:
    llm = tiny_llm(family).requires_grad_(False)
    sizes = FormerConfig(HIDDEN, hidden_size=16, feed_forward_size=32, slots=SLOTS, dropout=0.0)
    model = R2AGModel(llm, R2Former(sizes))
    model.former.scale_anchors_to(llm.get_input_embeddings()(torch.arange(VOCABULARY)))
    return model


def prompt_of(documents: int, length: int = 3) -> Prompt:
    """Random ids, with SLOTS placeholders in front of each document of `length` ids."""
    ids, slots = torch.randint(3, VOCABULARY, (4,)).tolist(), []
    for _ in range(documents):
        slots.append(tuple(range(len(ids), len(ids) + SLOTS)))
        ids += [0] * SLOTS + torch.randint(3, VOCABULARY, (length,)).tolist()
    return Prompt(tuple(ids), tuple(slots))


def prompts_of_unequal_length() -> list[Prompt]:
    return [prompt_of(3), prompt_of(1), prompt_of(2, length=9)]


def token_anchors(model: R2AGModel, prompts: list[Prompt]) -> tuple[Tensor, list[list[int]]]:
    """Anchors that are the embeddings of ordinary tokens, and each prompt's ids with those tokens in the slots."""
    tokens = torch.randint(3, VOCABULARY, (len(prompts), max(len(prompt.slots) for prompt in prompts), SLOTS))
    written = []
    for row, prompt in enumerate(prompts):
        ids = list(prompt.ids)
        for document, positions in enumerate(prompt.slots):
            for slot, position in enumerate(positions):
                ids[position] = int(tokens[row, document, slot])
        written.append(ids)
    return model.llm.get_input_embeddings()(tokens), written


@EVERY_LLM
@torch.no_grad()
def test_token_embeddings_in_the_slots_give_the_logits_of_the_tokens(family):
    model = tiny_model(family)
    prompts = [prompt_of(4, length=9)]
    anchors, (ids,) = token_anchors(model, prompts)
    expected = model.llm(input_ids=torch.tensor([ids])).logits
    logits = model.answer_logits(model.embed(prompts, anchors), len(ids))
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)
    other = model.answer_logits(model.embed(prompts, anchors.flip(1)), len(ids))
    assert (other[:, -1] - expected[:, -1]).abs().max() > 0.01


@EVERY_LLM
@torch.no_grad()
def test_a_batch_of_unequal_prompts_equals_one_at_a_time(family):
    model = tiny_model(family)
    prompts = prompts_of_unequal_length()
    anchors, _ = token_anchors(model, prompts)
    together = model.answer_logits(model.embed(prompts, anchors), 4)
    losses = model.language_loss(prompts, anchors, TARGETS)
    for row, prompt in enumerate(prompts):
        own = anchors[row : row + 1, : len(prompt.slots)]
        alone = model.answer_logits(model.embed([prompt], own), 4)
        torch.testing.assert_close(together[row], alone[0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(losses[row], model.language_loss([prompt], own, [TARGETS[row]])[0])


@EVERY_LLM
@torch.no_grad()
def test_language_loss_is_the_mean_over_the_target_tokens(family):
    model = tiny_model(family)
    prompts = prompts_of_unequal_length()
    anchors, written = token_anchors(model, prompts)
    losses = model.language_loss(prompts, anchors, TARGETS)
    for loss, ids, target in zip(losses, written, TARGETS, strict=True):
        logits = model.llm(input_ids=torch.tensor([ids + target])).logits[0]
        steps = [-F.log_softmax(logits[len(ids) + i - 1].double(), -1)[token] for i, token in enumerate(target)]
        assert loss.item() == pytest.approx(torch.stack(steps).mean().item(), rel=1e-5)


@EVERY_LLM
@torch.no_grad()
def test_distillation_loss_is_the_divergence_from_the_teacher(family):
    model = tiny_model(family)
    prompts, teachers = prompts_of_unequal_length(), [prompt_of(0), prompt_of(0), prompt_of(0)]
    anchors, written = token_anchors(model, prompts)
    losses = model.distillation_loss(prompts, anchors, TARGETS, teachers)
    for loss, ids, teacher, target in zip(losses, written, teachers, TARGETS, strict=True):
        here, there = (
            model.llm(input_ids=torch.tensor([[*start, *target]])).logits[0, len(start) - 1 : -1].double()
            for start in (ids, teacher.ids)
        )
        divergence = (there.softmax(-1) * (there.log_softmax(-1) - here.log_softmax(-1))).sum(-1).mean()
        assert loss.item() == pytest.approx(divergence.item(), rel=1e-3)
    itself = model.distillation_loss(teachers, None, TARGETS, teachers)
    torch.testing.assert_close(itself, torch.zeros(3))


@torch.no_grad()
def test_the_teacher_is_the_llm_without_its_lora():
    model = tiny_model()
    prompts = [prompt_of(0)]
    before = model.answer_logits(model.embed(prompts, None), 1)
    model.llm = get_peft_model(model.llm, LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False))
    assert not torch.allclose(model.answer_logits(model.embed(prompts, None), 1), before)
    assert model.distillation_loss(prompts, None, TARGETS[:1], prompts) > 0
    with model._untrained_llm():
        torch.testing.assert_close(model.answer_logits(model.embed(prompts, None), 1), before)


@torch.no_grad()
def test_placeholders_are_never_read():
    model = tiny_model()
    prompt = prompt_of(2)
    anchors, _ = token_anchors(model, [prompt])
    flat = {position for slot in prompt.slots for position in slot}
    other = Prompt(tuple(99 if i in flat else token for i, token in enumerate(prompt.ids)), prompt.slots)
    assert torch.equal(model.embed([prompt], anchors).embeddings, model.embed([other], anchors).embeddings)


@torch.no_grad()
def test_without_anchors_the_prompt_is_the_plain_one():
    model = tiny_model()
    prompt = Prompt(tuple(range(3, 20)), ((), ()))
    expected = model.llm(input_ids=torch.tensor([prompt.ids])).logits[:, -1:]
    for anchors in (None, torch.randn(1, 2, SLOTS, HIDDEN)):
        torch.testing.assert_close(model.answer_logits(model.embed([prompt], anchors), 1), expected)


@torch.no_grad()
def test_padding_is_on_the_left_and_positions_start_behind_it():
    model = tiny_model()
    mixed = model.embed([prompt_of(0), prompt_of(1)], torch.randn(2, 1, SLOTS, HIDDEN), [[5], [5, 6]])
    assert mixed.embeddings.shape == (2, 11, HIDDEN)
    assert mixed.mask.tolist() == [[0] * 6 + [1] * 5, [1] * 11]
    assert mixed.positions.tolist() == [[0] * 6 + list(range(5)), list(range(11))]


@EVERY_LLM
def test_only_the_former_learns_where_the_llm_is_frozen(family):
    model = tiny_model(family).train()
    prompts = prompts_of_unequal_length()
    mask = torch.arange(3) < torch.tensor([[3], [1], [2]])
    output = model.describe(torch.randn(3, 3, 3), mask)
    relevant = torch.tensor([[1, 0, 0], [0, 0, 0], [0, 1, 0]])
    language = model.language_loss(prompts, output.anchors, TARGETS).mean()
    language.backward(retain_graph=True)
    not_reached = {name for name, parameter in model.former.named_parameters() if parameter.grad is None}
    assert not_reached == {"head.weight", "head.bias"}
    matching_loss(output.logits, relevant, mask).mean().backward()
    for parameter in model.former.parameters():
        assert parameter.grad.isfinite().all()
        assert (parameter.grad != 0).any()
    assert all(parameter.grad is None for parameter in model.llm.parameters())


@EVERY_LLM
@torch.no_grad()
def test_the_loss_hears_every_anchor(family):
    model = tiny_model(family)
    prompt = prompt_of(3)
    anchors, _ = token_anchors(model, [prompt])
    loss = model.language_loss([prompt], anchors, TARGETS[:1])
    for document in range(3):
        for slot in range(SLOTS):
            changed = anchors.clone()
            changed[0, document, slot] = anchors.roll(1, dims=-1)[0, document, slot]
            assert (model.language_loss([prompt], changed, TARGETS[:1]) - loss).abs() > 1e-4


def test_the_former_stays_in_fp32_beside_a_bf16_llm_and_under_autocast():
    model = tiny_model()
    model.llm.bfloat16()
    prompts, mask = prompts_of_unequal_length(), torch.arange(3) < torch.tensor([[3], [1], [2]])
    features = torch.randn(3, 3, 3)
    expected = model.describe(features, mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model.describe(features, mask)
        mixed = model.embed(prompts, output.anchors)
        loss = model.language_loss(prompts, output.anchors, TARGETS)
    assert torch.equal(output.logits[mask], expected.logits[mask])
    assert output.anchors.dtype == loss.dtype == torch.float32
    assert mixed.embeddings.dtype == torch.bfloat16
    loss.mean().backward()
    assert model.former.projection.weight.grad.dtype == torch.float32


def test_matching_loss_averages_over_the_real_documents():
    logits = torch.tensor([[2.0, -1.0, 0.5], [0.0, 50.0, -50.0]])
    relevant = torch.tensor([[1, 0, 1], [1, 0, 1]])
    mask = torch.tensor([[True, True, True], [True, False, False]])
    expected = [-torch.tensor([p, 1 - q, r]).log().mean() for p, q, r in logits[:1].sigmoid().tolist()]
    expected.append(torch.tensor(0.5).log().neg())
    torch.testing.assert_close(matching_loss(logits, relevant, mask), torch.stack(expected))


def test_a_model_for_images_too_reads_as_much_as_its_text_part():
    config = Gemma3Config(text_config={"max_position_embeddings": 12_345, "num_hidden_layers": 1})
    llm = tiny_llm()
    llm.config = config
    assert context_window(llm) == 12_345
    assert Openings(llm)._has_windows
    assert context_window(tiny_llm()) == tiny_llm().config.max_position_embeddings
