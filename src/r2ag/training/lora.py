"""The LLM's own learning: a LoRA beside its frozen weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from r2ag.training.config import TrainingConfig

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_PEFT_KNOWS = (
    "llama",
    "qwen2",
    "qwen3",
    "mistral",
    "gemma2",
    "gemma3_text",
    "gpt2",
    "gpt_neox",
    "phi3",
    "olmo",
    "olmo2",
)


def with_lora(llm: PreTrainedModel, config: TrainingConfig) -> Any:
    """The LLM with a new LoRA, on the layers that peft names for its family, else on all linear ones."""
    from peft import LoraConfig, get_peft_model

    lora = LoraConfig(
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=None if llm.config.model_type in _PEFT_KNOWS else "all-linear",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(llm, lora)
