"""Writes a GGUF file as a plain bfloat16 safetensors folder, as `r2ag train --llm` reads them.

    python scripts/convert_gguf.py gemma-3-270m-q4_k_m.gguf gemma-3-270m

Weights are those of the quantised file. The tokenizer is what transformers makes of it: compare a few texts with the
original's before you trust it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer


def convert(file: Path, folder: Path) -> None:
    source, name = str(file.parent), file.name
    config = AutoConfig.from_pretrained(source, gguf_file=name)
    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=name)
    read = AutoModelForCausalLM.from_pretrained(source, gguf_file=name, dtype=torch.bfloat16)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    # A model read from GGUF counts as quantised and can't be saved; a plain one with its weights can.
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    plain.load_state_dict(read.state_dict())
    plain.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    convert(arguments.file, arguments.folder)
