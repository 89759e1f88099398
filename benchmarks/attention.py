"""What block-wise attention gains on this CPU: prefill and training step, with it over torch's fused attention.

    python benchmarks/attention.py

The LLM is the default one, its weights frozen; a step is forward and backward to the prompt's embeddings. Both sides
run in turn.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import numpy as np
import torch
from transformers import PreTrainedModel

from r2ag.models import DEFAULT_LLM, load_llm
from r2ag.models.cpu import CAUSAL_BLOCKS

ANSWER_TOKENS = 8


def seconds(run: Callable[[], object]) -> float:
    """Of one call."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def prefill(llm: PreTrainedModel, embeddings: torch.Tensor) -> None:
    """Reads a prompt."""
    with torch.inference_mode():
        llm(inputs_embeds=embeddings, use_cache=False, logits_to_keep=1)


def step(llm: PreTrainedModel, embeddings: torch.Tensor) -> None:
    """Forward and backward."""
    anchors = embeddings.clone().requires_grad_()
    llm(inputs_embeds=anchors, use_cache=False, logits_to_keep=ANSWER_TOKENS).logits.float().sum().backward()


def main() -> None:
    """Prints the median ratio of times, with its quartiles, for some lengths."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=7)
    options = parser.parse_args()
    llm, _ = load_llm(DEFAULT_LLM)
    if llm.config._attn_implementation != CAUSAL_BLOCKS:
        print(json.dumps({"attention": "not used here: only CPUs with bfloat16 instructions gain from it"}))
        return
    llm.requires_grad_(False)
    results = {}
    for length in (350, 600, 1500):
        embeddings = llm.get_input_embeddings()(torch.randint(300, 40_000, (1, length))).detach()
        for run in (prefill, step):
            times: dict[str, list[float]] = {"sdpa": [], CAUSAL_BLOCKS: []}
            for _ in range(options.pairs + 1):
                for attention, found in times.items():
                    llm.set_attn_implementation(attention)
                    found.append(seconds(lambda run=run, read=embeddings: run(llm, read)))
            ratios = np.divide(times[CAUSAL_BLOCKS][1:], times["sdpa"][1:])  # the first of each warms up
            low, median, high = np.percentile(ratios, [25, 50, 75]).round(3).tolist()
            results[f"{run.__name__} {length} tokens"] = {"ratio_median": median, "quartiles": [low, high]}
    print(json.dumps({"attention": results, "threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main()
