"""Whether the LLM follows its anchors: how well it answers with true, permuted and gold relevance in E^R.

    python benchmarks/anchors.py --data records.jsonl.gz … --adapter DIR --k 5 --limit 60

Reads the records that `r2ag train` holds back, k documents in shuffled order, the relevant ones among them. For each:
the loss of the gold answer (L_LM), and the distance from what the LLM says to the relevant documents alone (KL a token,
see `--targets distilled`), with E^R from the true features, from features permuted between the documents, and, where
the adapter has a relevance direction, from gold labels and from permuted gold labels. Differences are paired by record,
with 95 % intervals.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from turns import finish, parser

from r2ag.answering.reader import Reader
from r2ag.evaluation.methods.r2ag import derangements, gold_labels
from r2ag.method.prompting import PromptBuilder
from r2ag.method.templates import plain_template
from r2ag.pipeline import Pipeline
from r2ag.records import read_records
from r2ag.records.split import sample, split_records
from r2ag.records.vectors import describe_records
from r2ag.training.config import TrainingConfig
from r2ag.training.lists import DescribedRecord, ListSampler, TrainingList
from r2ag.types import Record

NEW_TOKENS = 48
PAIRS = (("true", "permuted"), ("gold", "gold permuted"))


def held_back(files: list[Path], limit: int, seed: int) -> list[Record]:
    """Records that no training and no calibration saw, as many of each file as of any other."""
    chosen = []
    for file in files:
        split = split_records(read_records(file))
        chosen += sample(split.stopping + split.threshold, limit, seed)
    return chosen


def conditions(reader: Reader, drawn: TrainingList, seed: int) -> dict[str, Tensor]:
    """E^R of one list by what it was told."""
    lists = [drawn.ranked]
    permutation, gold = derangements(lists, seed), gold_labels(lists)
    told: dict[str, tuple[Tensor | None, Tensor | None]] = {"true": (None, None), "permuted": (permutation, None)}
    if reader.adapter.config.former.relevance_direction:
        told |= {"gold": (None, gold), "gold permuted": (None, gold.gather(1, permutation))}
    return {name: reader.assess(lists, *given).anchors for name, given in told.items()}


@torch.inference_mode()
def measure(reader: Reader, teacher: PromptBuilder, drawn: TrainingList, seed: int) -> dict[str, dict[str, float]]:
    """L_LM and KL of one list under each condition."""
    question, documents = drawn.ranked.question, drawn.ranked.documents
    relevant = drawn.ranked.reordered([i for i, document in enumerate(documents) if document.relevant])
    (own,) = reader.read([relevant], None, NEW_TOKENS, template=teacher.template)
    prompt = reader.prompt(question, documents, NEW_TOKENS)
    alone = teacher.build(question, relevant.documents, reader.context_window - NEW_TOKENS)
    answer, said = reader.builder.target(str(drawn.answer)), reader.builder.target(own.generation.text)
    return {
        name: {
            "L_LM": float(reader.model.language_loss([prompt], anchors, [answer])),
            "KL": float(reader.model.distillation_loss([prompt], anchors, [said], [alone])),
        }
        for name, anchors in conditions(reader, drawn, seed).items()
    }


def interval(values: np.ndarray) -> list[float]:
    """Mean and half the width of its 95 % interval."""
    return [round(float(values.mean()), 3), round(1.96 * float(values.std(ddof=1)) / len(values) ** 0.5, 3)]


def main() -> None:
    """Prints the means and the paired differences of each measure."""
    arguments = parser(__doc__, k=5, limit=20, seed=0)
    arguments.add_argument("--data", type=Path, nargs="+", required=True)
    arguments.add_argument("--adapter")
    options = arguments.parse_args()
    pipeline = Pipeline.from_pretrained(options.adapter)
    reader = pipeline.reader
    records = held_back(options.data, options.limit, options.seed)
    ranked = describe_records(pipeline.encoder, records)
    described = [DescribedRecord(*pair) for pair in zip(records, ranked, strict=True)]
    sampler = ListSampler(described, TrainingConfig(order="shuffled", without_relevant=0.0), options.k)
    lists = [sampler.draw(index, options.seed, options.k) for index in range(len(described))]
    teacher = PromptBuilder(reader.tokenizer, plain_template(reader.adapter.config.plain_prompt), 0)
    measured = [measure(reader, teacher, drawn, options.seed) for drawn in lists if drawn.answer is not None]
    result: dict[str, object] = {"lists": len(measured)}
    for loss in ("L_LM", "KL"):
        by = {name: np.array([one[name][loss] for one in measured]) for name in measured[0]}
        means = {name: interval(values) for name, values in by.items()}
        gaps = {f"{wrong} - {own}": interval(by[wrong] - by[own]) for own, wrong in PAIRS if own in by}
        result[loss] = means | gaps
    finish("anchors", result, options)


if __name__ == "__main__":
    main()
