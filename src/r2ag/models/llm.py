"""Loads LLMs: any decoder-only model that takes plain input embeddings and has a fast tokenizer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

from r2ag.errors import InputError
from r2ag.models.loading import loading
from r2ag.models.wheels import DEFAULT_LLM, llm_folder

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast


def resolve_llm(name: str) -> str:
    """What to load for `name`: the default LLM comes from its wheel where that is installed, any other from its name.

    The first call with the wheel converts the model into the user's cache, which takes some fifteen seconds.
    """
    if name != DEFAULT_LLM:
        return name
    with loading("LLM", name, name):
        return str(llm_folder() or name)


def load_llm(
    name: str, dtype: torch.dtype | Literal["auto"] | None = None, device: str | torch.device | None = None
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Loads a decoder-only LLM and its tokenizer by folder or hub name, in evaluation mode.

    Without a `device` it goes to the GPU where there is one; without a `dtype` it gets the one that is fast there, and
    with "auto" that of its files.

    Raises:
        InputError: the name is unknown, the files are damaged or not safetensors, or R²AG can't drive such a model.
    """
    import torch

    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    source = resolve_llm(name)
    with loading("LLM", name, source):
        from transformers import AutoConfig

        from r2ag.models.cpu import make_fast_on_cpu
        from r2ag.models.prefix_attention import attend_behind

        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
        refuse_unsuitable(config, name)
        tokenizer = _fast_tokenizer(source, name)
        model = _load_weights(source, name, dtype or preferred_dtype(device), device)
        make_fast_on_cpu(model)
        attend_behind(model)
    return model, tokenizer


def load_tokenizer(name: str) -> PreTrainedTokenizerFast:
    """Loads the tokenizer of an LLM alone, by folder or hub name.

    Raises:
        InputError: the name is unknown, or the model has no fast tokenizer.
    """
    source = resolve_llm(name)
    with loading("LLM", name, source):
        return _fast_tokenizer(source, name)


def _fast_tokenizer(source: str, name: str) -> PreTrainedTokenizerFast:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        raise InputError(f"The LLM {name} has no fast tokenizer (tokenizer.json); choose a model that has one.")
    return cast("PreTrainedTokenizerFast", tokenizer)


def preferred_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 on CUDA and on CPUs that multiply it in hardware (others take several times longer), else float32."""
    import torch

    if device.type == "cuda":
        return torch.bfloat16
    # torch has no public question for this; a version without these private ones gets float32, which is always right.
    probes = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    fast = device.type == "cpu" and any(getattr(torch.cpu, probe, bool)() for probe in probes)
    return torch.bfloat16 if fast else torch.float32


def refuse_unsuitable(config: PreTrainedConfig, name: str) -> None:
    """Raises InputError for LLMs that R²AG can't drive."""
    from transformers import MODEL_FOR_MASKED_LM_MAPPING

    # Encoders are known by their masked-language-model head; some load as a causal LM but were never trained as one.
    if config.is_encoder_decoder or type(config) in MODEL_FOR_MASKED_LM_MAPPING:
        raise InputError(f"The LLM {name} ({config.model_type}) is not decoder-only; choose a decoder-only model.")
    if getattr(config.get_text_config(), "hidden_size_per_layer_input", None):
        raise InputError(
            f"The LLM {name} ({config.model_type}) needs inputs for each layer that only token ids give, so that no "
            "embedding can be put into its prompt; choose another model."
        )


def _load_weights(
    source: str, name: str, dtype: torch.dtype | Literal["auto"], device: torch.device
) -> PreTrainedModel:
    from transformers import AutoModelForCausalLM

    loaded: Any = AutoModelForCausalLM.from_pretrained(
        source,
        dtype=dtype,
        device_map={"": device},
        use_safetensors=True,
        trust_remote_code=False,
        output_loading_info=True,
    )
    model, report = loaded
    if report["missing_keys"]:
        # transformers fills such weights with random numbers and goes on.
        missing = sorted(report["missing_keys"])
        raise InputError(f"The LLM {name} lacks {len(missing)} weights ({missing[0]} …); fetch it again.")
    return cast("PreTrainedModel", model.eval())
