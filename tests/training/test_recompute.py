from __future__ import annotations

import pytest
import torch
from transformers.modeling_layers import GradientCheckpointingLayer

from r2ag.training.recompute import recompute_layers
from tests.tiny import LLMS, tiny_llm


@pytest.mark.parametrize("family", LLMS)
def test_each_layer_is_computed_twice_and_gradients_stay_the_same(family: str):
    llm = tiny_llm(family).requires_grad_(False)
    read = torch.randn(1, 6, llm.get_input_embeddings().weight.shape[1], requires_grad=True)

    def gradient() -> torch.Tensor:
        logits = llm(inputs_embeds=read, use_cache=False).logits
        return torch.autograd.grad(logits[:, -1].logsumexp(-1).sum(), read)[0]

    expected = gradient()
    layers = [module for module in llm.modules() if isinstance(module, GradientCheckpointingLayer)]
    computed = []
    for layer in layers:
        next(layer.children()).register_forward_hook(lambda *_: computed.append(1))
    recompute_layers(llm)
    torch.testing.assert_close(gradient(), expected)
    assert len(computed) == 2 * len(layers) == 4
    with torch.no_grad():
        llm(inputs_embeds=read, use_cache=True)
    assert len(computed) == 6
