"""What R²AG's machinery costs: whole answers with and without it, at equal prompt and output length.

Both sides read the same token positions and write the same number of tokens; one computes features, R²-Former and
anchors and puts them into the slots, the other leaves ordinary token embeddings there. They run in turn, pair by pair.

    python benchmarks/machinery.py --pairs 200
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from r2ag.answering.reader import Reader
from r2ag.corpus import read_documents
from r2ag.pipeline import Pipeline
from r2ag.samples import documents_folder, questions
from r2ag.types import RankedList

NEW_TOKENS = 8
NEVER = 1  # the token that opens a chat turn: no answer holds it, so every answer has NEW_TOKENS tokens


def answer(reader: Reader, ranked: RankedList, machinery: bool) -> float:
    """Seconds for one answer, from ranked list to last token."""
    started = time.perf_counter()
    anchors = reader.assess([ranked]).anchors if machinery else None
    prompt = reader.prompt(ranked.question, ranked.documents, NEW_TOKENS)
    reader.engine.generate(reader.embed([prompt], anchors), NEW_TOKENS)
    return time.perf_counter() - started


def main() -> None:
    """Prints the ratio's median over pairs with a bootstrap 95 % interval."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--k", type=int, default=10)
    options = parser.parse_args()
    pipeline = Pipeline.from_pretrained()
    encoder = pipeline.encoder
    pipeline.add(read_documents([documents_folder()], encoder.count_tokens, encoder.passage_tokens))
    lists = [pipeline.find(sample.question, k=options.k).ranked for sample in questions()]
    reader = pipeline.reader
    reader.engine.stop_tokens = [NEVER]
    for ranked in lists[:2]:
        answer(reader, ranked, True), answer(reader, ranked, False)
    ratios = []
    for pair in range(options.pairs):
        ranked = lists[pair % len(lists)]
        first = pair % 2 == 0
        times = {machinery: answer(reader, ranked, machinery) for machinery in (first, not first)}
        ratios.append(times[True] / times[False])
    generator = np.random.default_rng(0)
    medians = np.median(generator.choice(ratios, (2000, len(ratios))), axis=1)
    low, high = np.percentile(medians, [2.5, 97.5])
    result = {
        "pairs": len(ratios),
        "k": options.k,
        "ratio_median": round(float(np.median(ratios)), 4),
        "ci95": [round(float(low), 4), round(float(high), 4)],
    }
    print(json.dumps({"machinery": result}))


if __name__ == "__main__":
    main()
