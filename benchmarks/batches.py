"""Whether batches answer as one at a time does, with the real LLM, and how much faster they are.

    python benchmarks/batches.py --data records.jsonl.gz --limit 100

In bfloat16 sums come out a little differently in a batch, so that a near-tie between two tokens may fall the other way.
For each answer that differs, the gap between the logits of the two tokens where it first does is printed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

import torch
from turns import finish, parser, timed

from r2ag.answering.reader import Reader
from r2ag.encoder.encoder import rank_by_similarity
from r2ag.pipeline import Pipeline
from r2ag.records import read_records
from r2ag.records.split import sample
from r2ag.records.vectors import describe_records
from r2ag.types import RankedList

NEW_TOKENS = 32


def answers(reader: Reader, lists: list[RankedList], size: int) -> list[str]:
    """Texts, `size` lists at a time."""
    batches = [lists[start : start + size] for start in range(0, len(lists), size)]
    readings = (reading for batch in batches for reading in reader.read(batch, reader.assess(batch), NEW_TOKENS))
    return [reading.generation.text for reading in readings]


@torch.inference_mode()
def where_they_part(reader: Reader, ranked: RankedList, texts: Sequence[str]) -> list[float]:
    """Log-probabilities, computed alone, of the first tokens in which two answers differ."""
    one, other = (reader.builder.target(text) for text in texts)
    at = next(index for index, (a, b) in enumerate(zip_longest(one, other)) if a != b)
    prompt = reader.prompt(ranked.question, ranked.documents, NEW_TOKENS)
    mixed = reader.model.embed([prompt], reader.assess([ranked]).anchors, [one[:at]])
    scores = reader.model.answer_logits(mixed, 1)[0, -1].log_softmax(dim=-1)
    return [round(float(scores[ids[at]]), 3) for ids in (one, other)]


def main() -> None:
    """Prints the share of equal answers, the gaps of the others, and the ratio of the times."""
    arguments = parser(__doc__, limit=100, batch_size=8)
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("--adapter")
    options = arguments.parse_args()
    pipeline = Pipeline.from_pretrained(options.adapter)
    records = sample(read_records(options.data), options.limit)
    # Unequal numbers of documents, too: 1 to all of them in turn.
    lists = [
        ranked.reordered(list(range(1 + number % len(ranked))))
        for number, ranked in enumerate(map(rank_by_similarity, describe_records(pipeline.encoder, records)))
    ]
    lists.sort(key=len)
    alone_s, alone = timed(lambda: answers(pipeline.reader, lists, 1), time.perf_counter)
    together_s, together = timed(lambda: answers(pipeline.reader, lists, options.batch_size), time.perf_counter)
    gaps = []
    for ranked, *texts in zip(lists, alone, together, strict=True):
        if texts[0] != texts[1]:
            one, other = where_they_part(pipeline.reader, ranked, texts)
            gaps.append(round(abs(one - other), 3))
    result = {
        "lists": len(lists),
        "equal": round(1 - len(gaps) / len(lists), 4),
        "logit_gaps_of_the_others": gaps,
        "time_alone_over_batched": round(alone_s / together_s, 2),
    }
    finish("batches", result, options)


if __name__ == "__main__":
    main()
