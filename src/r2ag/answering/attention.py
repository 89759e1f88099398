"""Where the prompt's last token looks, layer by layer: to each document's anchors and to its text (figure 6)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from r2ag.method.embeddings import MixedEmbeddings
from r2ag.method.prompting import Prompt

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Attention:
    """`anchors[l][i]` and `documents[l][i]` are of layer l and the prompt's document i.

    Each is a sum over the positions of the document's slots, or of its text, of the mean over the layer's heads.
    """

    anchors: tuple[tuple[float, ...], ...]
    documents: tuple[tuple[float, ...], ...]


@torch.inference_mode()
def last_token_attention(llm: PreTrainedModel, prompt: Prompt, mixed: MixedEmbeddings) -> Attention:
    """Reads a prompt once more; `mixed` are its embeddings, a batch of one.

    All but the last token are read as ever: the attention of each token to each, in all layers, would take gigabytes.
    """
    before: Any = llm(inputs_embeds=mixed.embeddings[:, :-1], use_cache=True, logits_to_keep=1)
    with _eager(llm) as plain:
        output = plain(
            inputs_embeds=mixed.embeddings[:, -1:],
            past_key_values=before.past_key_values,
            use_cache=True,
            output_attentions=True,
        )
    layers = [_over_prompt(weights[0, :, -1].float().mean(dim=0), len(prompt)) for weights in output.attentions]
    return Attention(
        anchors=tuple(tuple(float(layer[list(slots)].sum()) for slots in prompt.slots) for layer in layers),
        documents=tuple(tuple(float(layer[start:end].sum()) for start, end in prompt.documents) for layer in layers),
    )


def _over_prompt(weights: Tensor, length: int) -> Tensor:
    """(keys,) as (length,): a layer with a sliding window keeps the last positions alone."""
    return torch.nn.functional.pad(weights, (length - len(weights), 0))


@contextmanager
def _eager(llm: PreTrainedModel) -> Iterator[Any]:
    """Only the "eager" attention returns its weights."""
    before = llm.config._attn_implementation
    llm.set_attn_implementation("eager")
    try:
        yield llm
    finally:
        llm.set_attn_implementation(before)
