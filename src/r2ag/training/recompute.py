"""Gradient checkpointing: less memory for more time, with the same gradients."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer


def recompute_layers(llm: PreTrainedModel) -> None:
    """Makes each layer keep its inputs alone, and compute the rest once more on the way back.

    transformers' own switch does so in training mode only, which a frozen LLM never is in: its dropout would be on.
    """
    for layer in llm.modules():
        if isinstance(layer, GradientCheckpointingLayer):
            layer.forward = partial(_run, layer.forward)


def _run(forward: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*arguments, **options)
    return checkpoint(forward, *arguments, use_reentrant=False, **options)
