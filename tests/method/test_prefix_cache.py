"""An opening that has been read changes nothing but the time."""

from __future__ import annotations

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor

from r2ag.method.embeddings import MixedEmbeddings
from r2ag.method.model import R2AGModel
from r2ag.method.prefix_cache import KEPT, LEAST, MOST, Openings
from r2ag.method.prompting import Prompt
from r2ag.training.recompute import recompute_layers
from tests.method.test_model import EVERY_LLM, TARGETS, prompts_of_unequal_length, tiny_model
from tests.tiny import HIDDEN, LLMS, VOCABULARY, tiny_llm

OPENING = tuple(torch.randint(3, VOCABULARY, (LEAST + 5,), generator=torch.Generator().manual_seed(1)).tolist())


def opened(prompts: list[Prompt], opening: tuple[int, ...] = OPENING, known: bool = True) -> list[Prompt]:
    """The prompts behind an opening; not `known` to be one, as a comparison."""
    count = len(opening)
    return [
        Prompt(
            (*opening, *prompt.ids),
            tuple(tuple(place + count for place in places) for places in prompt.slots),
            opening=count if known else 0,
        )
        for prompt in prompts
    ]


def some_anchors(prompts: list[Prompt]) -> Tensor:
    most = max(len(prompt.slots) for prompt in prompts)
    return torch.randn(len(prompts), most, len(prompts[0].slots[0]), HIDDEN, requires_grad=True)


def loss_and_gradient(model: R2AGModel, prompts: list[Prompt], anchors: Tensor) -> tuple[Tensor, Tensor]:
    loss = model.language_loss(prompts, anchors, TARGETS[: len(prompts)])
    return loss.detach(), torch.autograd.grad(loss.sum(), anchors)[0]


@EVERY_LLM
@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("recompute", [False, True])
def test_losses_and_gradients_are_those_of_whole_prompts(family, rows, recompute):
    model = tiny_model(family)
    prompts = prompts_of_unequal_length()[:rows]
    anchors = some_anchors(prompts)
    expected = loss_and_gradient(model, opened(prompts, known=False), anchors)
    lengths = []
    model.llm.register_forward_pre_hook(
        lambda _, __, given: lengths.append(given["inputs_embeds"].shape[1]), with_kwargs=True
    )
    if recompute:
        recompute_layers(model.llm)
    for _ in range(2):
        found = loss_and_gradient(model, opened(prompts), anchors)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    longest = max(len(prompt.ids) + len(target) for prompt, target in zip(prompts, TARGETS, strict=False))
    windows = "sliding_window" in LLMS[family]  # they would count padding behind the opening as distance
    expected = [len(OPENING) + longest] * 2 if windows and rows > 1 else [len(OPENING), longest, longest]
    assert lengths == expected


def test_prompts_with_several_openings_are_read_whole():
    model = tiny_model()
    prompts = prompts_of_unequal_length()
    other = tuple(reversed(OPENING))
    mixed = [*opened(prompts[:2]), *opened(prompts[2:], other)]
    plain = [*opened(prompts[:2], known=False), *opened(prompts[2:], other, known=False)]
    anchors = some_anchors(prompts)
    torch.testing.assert_close(loss_and_gradient(model, mixed, anchors), loss_and_gradient(model, plain, anchors))


def test_an_llm_that_learns_reads_its_prompts_whole():
    prompts = prompts_of_unequal_length()
    anchors = some_anchors(prompts)
    former = tiny_model().former
    llm = get_peft_model(tiny_llm(), LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
    model = R2AGModel(llm, former).eval()
    before = loss_and_gradient(model, opened(prompts), anchors)[0]
    with torch.no_grad():
        for name, parameter in llm.named_parameters():
            if "lora_B" in name:
                parameter.add_(1.0)
        after = model.language_loss(opened(prompts), anchors, TARGETS)
        torch.testing.assert_close(after, model.language_loss(opened(prompts, known=False), anchors, TARGETS))
    assert (after - before).abs().max() > 0.01


def embedded(llm, ids: tuple[int, ...], opening: int) -> MixedEmbeddings:
    embeddings = llm.get_input_embeddings()(torch.tensor([ids]))
    return MixedEmbeddings(embeddings, torch.ones(1, len(ids), dtype=torch.long), (ids[:opening],))


def test_what_inference_has_read_serves_a_training_step():
    llm = tiny_llm().requires_grad_(False)
    openings = Openings(llm)
    with torch.inference_mode():
        openings.behind(embedded(llm, (*OPENING, 7), len(OPENING)), adds=True)
    read = torch.randn(1, 3, HIDDEN, requires_grad=True)
    whole = torch.cat([llm.get_input_embeddings()(torch.tensor([OPENING])), read], dim=1)
    mixed = MixedEmbeddings(whole, torch.ones(whole.shape[:2], dtype=torch.long), (OPENING,))
    logits = llm(**openings.behind(mixed, adds=False).arguments, use_cache=False).logits
    expected = llm(inputs_embeds=whole, use_cache=False).logits[:, -3:]
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)
    gradients = [torch.autograd.grad(found.square().sum(), read)[0] for found in (logits, expected)]
    torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-4)


def test_only_the_latest_openings_are_kept():
    llm = tiny_llm()
    openings = Openings(llm)
    lengths = []
    llm.register_forward_pre_hook(
        lambda _, __, given: lengths.append(given["inputs_embeds"].shape[1]), with_kwargs=True
    )
    many = [tuple(3 + (place + number) % 90 for place in range(LEAST)) for number in range(KEPT + 1)]
    for opening in (*many, many[-1], many[0]):
        openings.behind(embedded(llm, (*opening, 7), LEAST), adds=True)
    assert lengths == [LEAST] * (KEPT + 2)  # the first one was let go of, and the last one was not


@pytest.mark.parametrize("count", [0, LEAST - 1, MOST + 1])
def test_openings_that_are_not_worth_it_or_too_long(count):
    llm = tiny_llm()
    ids = tuple(3 + place % 90 for place in range(count + 1))
    unread = Openings(llm).behind(embedded(llm, ids, count), adds=True)
    assert unread.cache is None
    assert unread.embeddings.shape[1] == len(ids)


def test_a_cache_that_is_added_to_leaves_the_opening_as_it_was():
    llm = tiny_llm()
    openings = Openings(llm)
    mixed = embedded(llm, (*OPENING, 5, 6, 7), len(OPENING))
    with torch.inference_mode():
        expected = llm(inputs_embeds=mixed.embeddings).logits[:, -3:]
        for _ in range(2):
            unread = openings.behind(mixed, adds=True)
            found = llm(**unread.arguments, use_cache=True).logits
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
            assert unread.cache.get_seq_length() == len(OPENING) + 3
