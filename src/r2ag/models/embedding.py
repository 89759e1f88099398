"""An LLM of which only the embedding layer is there: enough to write prompts for an engine that has the rest.

The layer's one tensor is read from the safetensors files, memory-mapped, so that of a model of many gigabytes no more
comes into memory than the rows of the tokens that are used.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from r2ag.errors import InputError
from r2ag.models.llm import load_tokenizer, refuse_unsuitable, resolve_llm
from r2ag.models.loading import loading

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"


def load_embedding(name: str) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """An LLM by folder or hub name whose weights are on the "meta" device, but for its embedding layer, and its
    tokenizer. The layer has the dtype of the file. Running the LLM raises InputError.

    Raises:
        InputError: the name is unknown, the files are damaged or not safetensors, or R²AG can't drive such a model.
    """
    import torch
    from torch import nn

    source = resolve_llm(name)
    with loading("LLM", name, source):
        from transformers import AutoConfig, AutoModelForCausalLM

        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
        refuse_unsuitable(config, name)
        with torch.device("meta"):
            model: Any = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
        layer = model.get_input_embeddings()
        weight = _read(source, name, next(key for key, module in model.named_modules() if module is layer) + ".weight")
        if weight.shape != layer.weight.shape:
            raise InputError(
                f"The LLM {name} has embeddings of the shape {tuple(weight.shape)}, and its configuration says "
                f"{tuple(layer.weight.shape)}; fetch it again."
            )
        # Some models scale in this layer, by a buffer that only their own initialisation knows.
        layer.to_empty(device="cpu")
        layer.weight = nn.Parameter(weight, requires_grad=False)
        layer.weight._is_hf_initialized = True
        model._init_weights(layer)
    model.register_forward_pre_hook(_refuse)
    return cast("PreTrainedModel", model.requires_grad_(False).eval()), load_tokenizer(name)


def _refuse(*_: Any) -> None:
    raise InputError("Only the engine has the LLM's weights, and it tells nothing of this; ask without --engine vllm.")


def _read(source: str, name: str, key: str) -> Tensor:
    """One tensor, memory-mapped; checkpoints may name it with a longer or shorter prefix than the module has."""
    from safetensors import safe_open

    file = _file(source, _WEIGHTS)
    if file is None:
        index = _file(source, _INDEX)
        if index is None:
            raise InputError(f"The LLM {name} has no safetensors files; choose a model that has them.")
        parts = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        found = _same(key, parts, name)
        file = _file(source, parts[found])
        if file is None:
            raise InputError(f"The LLM {name} lacks its file {parts[found]}; fetch it again.")
    with safe_open(file, framework="pt") as weights:
        return cast("Tensor", weights.get_tensor(_same(key, weights.keys(), name)))


def _file(source: str, file: str) -> Path | None:
    from transformers.utils.hub import cached_file

    found = cached_file(source, file, _raise_exceptions_for_missing_entries=False)
    return None if found is None else Path(found)


def _same(key: str, keys: Any, name: str) -> str:
    known = [known for known in keys if f".{known}".endswith(f".{key}") or f".{key}".endswith(f".{known}")]
    if len(known) != 1:
        raise InputError(f"The LLM {name} has no tensor {key} in its files; choose another copy of it.")
    return str(known[0])
