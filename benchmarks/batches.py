"""Whether batches answer as one at a time does, with the real LLM, and how much faster they are.

    python benchmarks/batches.py --data records.jsonl.gz --limit 100

In bfloat16 sums come out a little differently in a batch, so that a near-tie between two tokens may fall the other way.
For each answer that differs, the gap between the logits of the two tokens where it first does is printed.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch

from r2ag.answering.reader import Reader
from r2ag.encoder.encoder import rank_by_similarity
from r2ag.pipeline import Pipeline
from r2ag.records import read_records
from r2ag.records.split import sample
from r2ag.records.vectors import describe_records
from r2ag.types import RankedList

NEW_TOKENS = 32


def answers(reader: Reader, lists: list[RankedList], size: int) -> tuple[list[str], float]:
    """Texts, and seconds for all, `size` lists at a time."""
    started = time.perf_counter()
    texts = []
    for start in range(0, len(lists), size):
        batch = lists[start : start + size]
        texts += [reading.generation.text for reading in reader.read(batch, reader.assess(batch), NEW_TOKENS)]
    return texts, time.perf_counter() - started


@torch.inference_mode()
def gap_where_they_part(reader: Reader, ranked: RankedList, one: str, other: str) -> float:
    """Difference between the logits of the two answers' first unequal tokens, both computed alone."""
    targets = [reader.builder.target(text) for text in (one, other)]
    same = next(i for i, (a, b) in enumerate(zip(*targets, strict=False)) if a != b)
    prompt = reader.prompt(ranked.question, ranked.documents, NEW_TOKENS)
    mixed = reader.model.embed([prompt], reader.assess([ranked]).anchors, [targets[0][:same]])
    logits = reader.model.answer_logits(mixed, 1)[0, -1]
    return float((logits[targets[0][same]] - logits[targets[1][same]]).abs())


def main() -> None:
    """Prints the share of equal answers, the gaps of the others, and the ratio of the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--adapter")
    options = parser.parse_args()
    pipeline = Pipeline.from_pretrained(options.adapter)
    records = sample(read_records(options.data), options.limit)
    # Unequal numbers of documents, too: 1 to all of them in turn.
    lists = [
        ranked.reordered(list(range(1 + number % len(ranked))))
        for number, ranked in enumerate(map(rank_by_similarity, describe_records(pipeline.encoder, records)))
    ]
    lists.sort(key=len)
    alone, alone_s = answers(pipeline.reader, lists, 1)
    together, together_s = answers(pipeline.reader, lists, options.batch_size)
    gaps = [
        gap_where_they_part(pipeline.reader, *different)
        for different in zip(lists, alone, together, strict=True)
        if different[1] != different[2]
    ]
    result = {
        "lists": len(lists),
        "batch_size": options.batch_size,
        "equal": round(1 - len(gaps) / len(lists), 4),
        "logit_gaps_of_the_others": [round(gap, 3) for gap in gaps],
        "time_alone_over_batched": round(alone_s / together_s, 2),
    }
    print(json.dumps({"batches": result}))


if __name__ == "__main__":
    main()
