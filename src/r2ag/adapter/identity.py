"""Which LLM and which encoder an adapter belongs to: what it remembers of them, and how it recognises them again."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from r2ag.encoder.encoder import FeatureEncoder
from r2ag.encoder.probe import Probe
from r2ag.errors import InputError
from r2ag.method.model import embedding_table
from r2ag.types import Similarity

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

PROBE_ROWS = 64
# Measured in tests/adapter/test_identity.py: a re-quantised copy of the default LLM keeps its rows' median cosine far
# above the first bound, and that of another model is near 0.
LEAST_ROW_SIMILARITY = 0.9
SAME_ROW_SIMILARITY = 0.999
LEAST_TOKEN_AGREEMENT = 0.95


@dataclass(frozen=True)
class LLMIdentity:
    """What an adapter remembers of its LLM; rows of its embedding layer's output stand beside it as a tensor."""

    name: str
    model_type: str
    hidden_size: int
    vocab_size: int
    probe_tokens: tuple[str, ...]


@dataclass(frozen=True)
class EncoderIdentity:
    """What an adapter remembers of its feature encoder; vectors of PROBE_TEXTS stand beside it as a tensor."""

    name: str
    dimension: int
    similarity: Similarity


def identify_llm(
    llm: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, name: str | None = None
) -> tuple[LLMIdentity, Tensor]:
    """An LLM's identity and its probe, (PROBE_ROWS, h₂); `name` where it was loaded from a cache."""
    rows, tokens = _probe_llm(llm, tokenizer, len(tokenizer))
    shown = name or str(llm.name_or_path)
    return LLMIdentity(shown, llm.config.model_type, rows.shape[1], len(tokenizer), tuple(tokens)), rows


def identify_encoder(encoder: FeatureEncoder) -> tuple[EncoderIdentity, Tensor]:
    """An encoder's identity and its probe, (texts, dimension)."""
    identity = EncoderIdentity(encoder.name, encoder.dimension, encoder.similarity)
    return identity, torch.from_numpy(Probe.of(encoder).vectors.copy())


def check_llm(trained: LLMIdentity, probe: Tensor, llm: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    """Refuses another LLM than `trained`; warns of another quantisation.

    Raises:
        InputError: architecture, size, vocabulary or embedding rows differ; says which.
    """
    advice = f"use {trained.name}, or train an adapter for this LLM with r2ag train"
    size = int(embedding_table(llm).shape[1])
    if (llm.config.model_type, size) != (trained.model_type, trained.hidden_size):
        raise InputError(
            f"The adapter belongs to {trained.name} ({trained.model_type}, hidden size {trained.hidden_size}), "
            f"not to {llm.name_or_path} ({llm.config.model_type}, hidden size {size}); {advice}."
        )
    rows, tokens = _probe_llm(llm, tokenizer, trained.vocab_size)
    agreement = sum(a == b for a, b in zip(tokens, trained.probe_tokens, strict=False)) / len(trained.probe_tokens)
    if agreement < LEAST_TOKEN_AGREEMENT:
        raise InputError(f"The vocabulary of {llm.name_or_path} is not that of {trained.name}; {advice}.")
    likeness = _median_cosine(rows, probe)
    if likeness < LEAST_ROW_SIMILARITY:
        raise InputError(
            f"The embeddings of {llm.name_or_path} are not those of {trained.name} (cosine {likeness:.2f}); {advice}."
        )
    if likeness < SAME_ROW_SIMILARITY:
        warnings.warn(
            f"{llm.name_or_path} is another quantisation of {trained.name} (embedding cosine {likeness:.3f}); "
            "answers may differ a little from those of the adapter's own LLM.",
            stacklevel=3,
        )


def check_encoder(trained: EncoderIdentity, probe: Tensor, encoder: FeatureEncoder) -> None:
    """Refuses another encoder than `trained`.

    Raises:
        InputError: dimension, similarity or vectors differ.
    """
    same_kind = (encoder.dimension, encoder.similarity) == (trained.dimension, trained.similarity)
    if not same_kind or not Probe.of(encoder).same_as(Probe(trained.name, probe.float().numpy())):
        raise InputError(
            f"The adapter's features come from the encoder {trained.name} with its own fine-tuning, and {encoder.name} "
            "gives other vectors; leave the encoder to the adapter, or train an adapter with this one."
        )


@torch.no_grad()
def embedding_rows(llm: PreTrainedModel, count: int, vocab_size: int | None = None) -> Tensor:
    """Evenly spaced rows of the embedding layer's *output* (some models scale there): fp32, (count, h₂)."""
    table = embedding_table(llm)
    size = min(vocab_size or len(table), len(table))
    ids = torch.linspace(0, size - 1, min(count, size)).long()
    rows: Tensor = llm.get_input_embeddings()(ids.to(table.device))
    return rows.float().cpu()


def _probe_llm(llm: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, vocab_size: int) -> tuple[Tensor, list[str]]:
    ids = torch.linspace(0, vocab_size - 1, min(PROBE_ROWS, vocab_size)).long().tolist()
    return embedding_rows(llm, PROBE_ROWS, vocab_size), [str(t) for t in tokenizer.convert_ids_to_tokens(ids)]


def _median_cosine(rows: Tensor, stored: Tensor) -> float:
    if rows.shape != stored.shape:
        return 0.0
    return float(torch.nn.functional.cosine_similarity(rows, stored.float(), dim=-1).median())
