"""What block-wise attention gains on this CPU: prefill and training step, with it over torch's fused attention.

    python benchmarks/attention.py

The LLM is the default one, its weights frozen; a step is forward and backward to the prompt's embeddings. Both sides
take turns.
"""

from __future__ import annotations

import json

from scaling import prefill, training
from transformers import PreTrainedModel
from turns import Way, by_turns, finish, parser, ratio

from r2ag.models import DEFAULT_LLM, load_llm
from r2ag.models.cpu import CAUSAL_BLOCKS


def with_attention(llm: PreTrainedModel, name: str, way: Way) -> Way:
    """The way, with one kind of attention."""

    def run() -> None:
        llm.set_attn_implementation(name)
        way()

    return run


def main() -> None:
    """Prints the ratios of times for some lengths."""
    options = parser(__doc__, pairs=7).parse_args()
    llm, _ = load_llm(DEFAULT_LLM)
    if llm.config._attn_implementation != CAUSAL_BLOCKS:
        print(json.dumps({"attention": "not used here: only CPUs with bfloat16 instructions gain from it"}))
        return
    llm.requires_grad_(False)
    results = {}
    for length in (350, 600, 1500):
        for work in (prefill, training):
            way = work(llm, length)
            times = by_turns({name: with_attention(llm, name, way) for name in ("sdpa", CAUSAL_BLOCKS)}, options.pairs)
            results[f"{work.__name__} {length} tokens"] = ratio(times, CAUSAL_BLOCKS, "sdpa")
    finish("attention", results, options)


if __name__ == "__main__":
    main()
