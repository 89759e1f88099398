"""`r2ag export-llm`: the LLM of a jointly trained adapter, for engines that read folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from r2ag.cli import options
from r2ag.cli.checks import check_output
from r2ag.cli.output import libraries_to_stderr, note, print_facts
from r2ag.errors import InputError
from r2ag.io.atomic import whole_folder


def export_llm(
    adapter: options.GivenAdapter,
    output: Annotated[Path, Option(metavar="DIR", show_default=False)],
    llm: options.Llm = None,
) -> None:
    """Write the LLM of a jointly trained adapter (r2ag train --lora) with its LoRA merged, for vLLM.

    The folder holds safetensors and the tokenizer, in the dtype of the LLM's own files. vLLM serves it, and r2ag ask
    and r2ag serve take it as --llm.

    Args:
        output: Where the LLM is written.

    Examples:
        r2ag export-llm --adapter joint --output joint-llm
        r2ag serve --docs notes/ --adapter joint --llm joint-llm --engine vllm --engine-url http://127.0.0.1:8001/v1
    """
    with libraries_to_stderr() as stdout:
        from r2ag.adapter.adapter import Adapter
        from r2ag.adapter.loading import load_adapted
        from r2ag.models.merged import NOTE, save_merged

        folder = check_output(output, NOTE)
        loaded = Adapter.from_pretrained(adapter)
        if loaded.llm_lora is None:
            raise InputError(f"The adapter {adapter} left its LLM as it was; let vLLM serve {loaded.config.llm.name}.")
        note("Loading the LLM …")
        model, tokenizer = load_adapted(loaded, llm, dtype="auto", device="cpu")
        with whole_folder(folder) as new:
            save_merged(model, tokenizer, loaded.llm_lora, new)
        print_facts(stdout, ("LLM", loaded.config.llm.name), ("adapter", adapter), ("written", folder))
