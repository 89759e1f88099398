"""What R²AG's machinery costs: whole answers with and without it, at equal prompt and output length.

Both sides read the same token positions and write the same number of tokens; one computes features, R²-Former and
anchors and puts them into the slots, the other leaves ordinary token embeddings there. They run in turn, pair by pair.

    python benchmarks/machinery.py --pairs 200
"""

from __future__ import annotations

import time
from functools import partial

import numpy as np
from turns import finish, parser, sample_lists, timed

from r2ag.answering.reader import Reader
from r2ag.evaluation.intervals import bootstrap
from r2ag.pipeline import Pipeline
from r2ag.types import RankedList

NEW_TOKENS = 8
NEVER = 1  # the token that opens a chat turn: no answer holds it, so every answer has NEW_TOKENS tokens


def answer(reader: Reader, ranked: RankedList, machinery: bool) -> None:
    """One answer, from ranked list to last token."""
    anchors = reader.assess([ranked]).anchors if machinery else None
    prompt = reader.prompt(ranked.question, ranked.documents, NEW_TOKENS)
    reader.engine.generate(reader.embed([prompt], anchors), NEW_TOKENS)


def main() -> None:
    """Prints the ratio's median over pairs with a bootstrap 95 % interval."""
    options = parser(__doc__, pairs=200, k=10).parse_args()
    pipeline = Pipeline.from_pretrained()
    lists = [found.ranked for found in sample_lists(pipeline, options.k)]
    reader = pipeline.reader
    reader.engine.stop_tokens = [NEVER]
    for ranked in lists[:2]:
        answer(reader, ranked, True), answer(reader, ranked, False)
    ratios = []
    for pair in range(options.pairs):
        ranked = lists[pair % len(lists)]
        first = pair % 2 == 0
        times = {
            machinery: timed(partial(answer, reader, ranked, machinery), time.perf_counter)[0]
            for machinery in (first, not first)
        }
        ratios.append(times[True] / times[False])
    median = bootstrap(lambda rows: float(np.median(np.array(ratios)[rows])), len(ratios), resamples=2000)
    result = {"ratio_median": round(median.mean, 4), "ci95": np.round(median.ends, 4).tolist()}
    finish("machinery", result, options)


if __name__ == "__main__":
    main()
