"""Whether vLLM answers as the LLM in this process does: greedy answers to the same questions, side by side.

    python benchmarks/engines.py --url http://127.0.0.1:8001/v1 --data nq-test.jsonl.gz hotpotqa-test.jsonl.gz

Without --data the sample questions are asked of the sample documents. Prints one JSON object: how many answers are
equal (goal: 98 %), and for each pair that differs the log-probabilities, as the LLM in this process gives them, of the
first token in which they do. Logits of 16 to 32, which are usual, are an eighth apart in bfloat16: where the two are no
further from one another, either is right. --dtype is the LLM's in this process; let vLLM have the same.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from batches import where_they_part
from turns import finish, parser, sample_lists

from r2ag.answering.reader import Reader
from r2ag.pipeline import Pipeline
from r2ag.records import read_records
from r2ag.types import RankedList


def record_lists(pipeline: Pipeline, files: list[Path], count: int, k: int, seed: int) -> Iterator[RankedList]:
    """So many records, as many of each file, with the k of their documents that are nearest to the question."""
    draw = random.Random(seed)
    for file in files:
        for record in draw.sample(list(read_records(file)), count // len(files)):
            ranked = pipeline.encoder.describe(record.question, record.documents)
            nearest = (-(ranked.document_vectors @ ranked.query_vector)).argsort(kind="stable")[:k]
            yield ranked.reordered(nearest.tolist())


def compare(here: Reader, there: Reader, ranked: RankedList, tokens: int) -> dict[str, Any] | None:
    """What tells the two answers apart; None where nothing does."""
    texts = [
        reading.generation.text
        for reader in (here, there)
        for reading in reader.read([ranked], reader.assess([ranked]), tokens)
    ]
    if texts[0] == texts[1]:
        return None
    both = where_they_part(here, ranked, texts)
    return {"question": ranked.question, "answers": texts, "log_probabilities": both}


def main() -> None:
    """Asks both, and prints what it found."""
    arguments = parser(__doc__, questions=100, k=5, tokens=32, seed=0)
    arguments.add_argument("--url", default="http://127.0.0.1:8001/v1")
    arguments.add_argument("--data", type=Path, nargs="+", help="records, in place of the sample questions")
    arguments.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    options = arguments.parse_args()
    pipeline = Pipeline.from_pretrained(dtype=getattr(torch, options.dtype))
    here, there = pipeline.reader, Reader.at_engine(pipeline.reader.adapter, options.url)
    if options.data:
        lists = record_lists(pipeline, options.data, options.questions, options.k, options.seed)
    else:
        lists = (found.ranked for found in sample_lists(pipeline, options.k))
    differences, count = [], 0
    for count, ranked in enumerate(lists, start=1):
        if difference := compare(here, there, ranked, options.tokens):
            differences.append(difference)
            print(json.dumps(difference, ensure_ascii=False), file=sys.stderr)
        print(f"{count - len(differences)} of {count} are equal", file=sys.stderr, flush=True)
    equal = count - len(differences)
    found = {"questions": count, "equal": equal, "share": round(equal / count, 4), "differences": differences}
    finish("engines", found, options)


if __name__ == "__main__":
    main()
