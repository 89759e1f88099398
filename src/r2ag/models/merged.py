"""LLMs on disk with a LoRA merged into their weights, and how they are known again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r2ag.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

NOTE = "r2ag-merged.json"
_LORA_WEIGHTS = "adapter_model.safetensors"


def save_merged(llm: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, lora: Path, folder: Path) -> None:
    """Writes an LLM whose weights hold the LoRA of the folder `lora`, as safetensors, with its tokenizer."""
    model: Any = llm
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    note = json.dumps({"lora_sha256": _digest(lora)}, indent=2)
    (folder / NOTE).write_text(f"{note}\n", encoding="utf-8")


def is_merged(llm: str, lora: Path) -> bool:
    """Whether an LLM, by folder or hub name, is one that `save_merged` wrote with this LoRA.

    Raises:
        InputError: it was written with another one.
    """
    note = Path(llm) / NOTE
    if not note.is_file():
        return False
    if json.loads(note.read_text(encoding="utf-8")).get("lora_sha256") != _digest(lora):
        raise InputError(f"Another adapter's LoRA is merged into {llm}; write it again with r2ag export-llm.")
    return True


def check_base(llm: str) -> None:
    """Refuses an LLM that `save_merged` wrote where the LLM as it was is wanted.

    Raises:
        InputError: says what to do.
    """
    if (Path(llm) / NOTE).is_file():
        raise InputError(
            f"An adapter's LoRA is merged into {llm}, and methods without it answer with the LLM as it was; leave out "
            "--llm."
        )


def check_merged(llm: str, lora: Path | None) -> None:
    """Refuses an LLM that lacks an adapter's LoRA, where there is one, since an engine runs it as it is.

    Raises:
        InputError: says what to do.
    """
    if lora is not None and not is_merged(llm, lora):
        raise InputError(
            f"The adapter was trained jointly, and {llm} lacks its LoRA; write the LLM with r2ag export-llm, let vLLM "
            "serve that folder, and name it with --llm."
        )


def _digest(lora: Path) -> str:
    return hashlib.sha256((lora / _LORA_WEIGHTS).read_bytes()).hexdigest()
