"""Where the prompt's last token looks, layer by layer: to each document's anchors and to its text (figure 6)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from r2ag.reader import Reader
from r2ag.types import RankedList

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class AttentionMap:
    """One prompt's attention: `anchors[l][i]` and `documents[l][i]` are of layer l and document i.

    Each is a sum over the positions of the document's slots, or of its text, of the mean over the layer's heads.
    """

    record_id: str
    question: str
    relevant: tuple[bool, ...]
    anchors: tuple[tuple[float, ...], ...]
    documents: tuple[tuple[float, ...], ...]


@torch.inference_mode()
def attention_map(reader: Reader, ranked: RankedList, record_id: str, max_new_tokens: int = 32) -> AttentionMap:
    """Reads the prompt once; all documents are in it.

    Raises:
        InputError: the adapter takes no list of this length, or the prompt doesn't fit.
    """
    assessment = reader.assess([ranked])
    prompt = reader.prompt(ranked.question, ranked.documents, max_new_tokens)
    mixed = reader.embed([prompt], [assessment.anchors[0]])
    with _eager(reader.model.llm) as llm:
        output = llm(inputs_embeds=mixed.embeddings, output_attentions=True, use_cache=False, logits_to_keep=1)
    # (batch, heads, queries, keys) a layer
    layers = [layer[0, :, -1].float().mean(dim=0) for layer in output.attentions]
    return AttentionMap(
        record_id=record_id,
        question=ranked.question,
        relevant=tuple(bool(document.relevant) for document in ranked.documents),
        anchors=tuple(tuple(float(layer[list(slots)].sum()) for slots in prompt.slots) for layer in layers),
        documents=tuple(tuple(float(layer[start:end].sum()) for start, end in prompt.documents) for layer in layers),
    )


@contextmanager
def _eager(llm: PreTrainedModel) -> Iterator[Any]:
    """Only transformers' own, plain attention tells its weights."""
    before = llm.config._attn_implementation
    llm.set_attn_implementation("eager")
    try:
        yield llm
    finally:
        llm.set_attn_implementation(before)
