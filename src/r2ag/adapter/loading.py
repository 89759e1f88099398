"""The LLM and the encoder that an adapter was trained with, as it needs them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from r2ag.adapter.adapter import Adapter
from r2ag.encoder.encoder import FeatureEncoder

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

PRETRAINED = Path(__file__).parents[1] / "pretrained" / "smollm2-135m-instruct"
"""The adapter that comes with the package."""


def load_adapted(
    adapter: Adapter,
    llm: str | None = None,
    dtype: torch.dtype | Literal["auto"] | None = None,
    device: str | torch.device | None = None,
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """An adapter's LLM with the LoRA that the adapter may have merged into it, and its tokenizer.

    Args:
        llm: another copy of it, by folder or hub name; one that has the LoRA already keeps it.
        dtype: "auto" takes that of the LLM's files.

    Raises:
        InputError: it can't be had, or is not the adapter's.
    """
    from r2ag.models import load_llm
    from r2ag.models.merged import is_merged

    name = llm or adapter.config.llm.name
    model, tokenizer = load_llm(name, dtype=dtype, device=device)
    adapter.check_llm(model, tokenizer)
    if adapter.llm_lora is not None and not is_merged(name, adapter.llm_lora):
        from peft import PeftModel

        merged: Any = PeftModel.from_pretrained(model, str(adapter.llm_lora)).merge_and_unload()
        model = merged.eval()
    return model, tokenizer


def load_encoder(adapter: Adapter, retriever: str | None = None, device: object = None) -> FeatureEncoder:
    """The adapter's own feature encoder, checked; `retriever` names another copy of it."""
    name = retriever or adapter.config.encoder.name
    encoder = FeatureEncoder.from_pretrained(name, adapter.encoder_lora, None if device is None else str(device))
    adapter.check_encoder(encoder)
    return encoder
