"""How far relevance can be trusted: does it tell when nothing relevant is there, and does it mean what it says?

    python benchmarks/trust.py --data records.jsonl.gz … --adapter DIR [--vectors DIR]

For each record, in the encoder's order: its list as it is; the same without its relevant documents; and another
record's list, of another file where there are several (off-topic). Prints the area under the ROC curve of the highest
probability of relevance and of the highest cosine, telling the first from the second and from the third, with their
paired difference (bootstrap over records, 95 %); the expected calibration error and the Brier skill of all documents
and of the first alone, gold-removed lists included; and which lists the adapter's threshold abstains from.

    python benchmarks/trust.py … --citations --limit 50

also answers, and gives precision and recall of citations against the relevant documents (pooled over records).
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from r2ag.encoder import rank_by_similarity
from r2ag.evaluation.reliability import brier_skill_score, expected_calibration_error, roc_auc
from r2ag.evaluation.run import relevance_probabilities
from r2ag.pipeline import Pipeline
from r2ag.records import read_records
from r2ag.records.mixture import sample
from r2ag.records.vectors import describe_records
from r2ag.training.calibrate import without_relevant
from r2ag.types import RankedList, Record

RESAMPLES = 2000


@dataclass(frozen=True)
class Lists:
    """One record's three lists."""

    own: RankedList
    removed: RankedList
    off_topic: RankedList


@dataclass(frozen=True)
class Scores:
    """Highest score of each record's lists, (records,), by one way of scoring."""

    own: np.ndarray
    removed: np.ndarray
    off_topic: np.ndarray


def three_lists(files: Sequence[Sequence[Record]], lists: Sequence[RankedList], seed: int) -> list[Lists]:
    """Every record with something relevant and something irrelevant, with its lists."""
    generator = random.Random(seed)
    sources = [number for number, file in enumerate(files) for _ in file]
    made = []
    for place, ranked in enumerate(lists):
        removed = without_relevant(ranked)
        others = [i for i, source in enumerate(sources) if (source != sources[place] if len(files) > 1 else i != place)]
        other = lists[generator.choice(others)]
        if removed is None or not any(document.relevant for document in ranked.documents):
            continue
        off_topic = RankedList(ranked.question, other.documents, ranked.query_vector, other.document_vectors)
        made.append(Lists(*map(rank_by_similarity, (ranked, removed, off_topic))))
    return made


def scored(lists: Sequence[Lists], highest: Callable[[list[RankedList]], list[float]]) -> Scores:
    """The highest score of each list by a way of scoring lists."""
    kinds = ([one.own for one in lists], [one.removed for one in lists], [one.off_topic for one in lists])
    return Scores(*(np.asarray(highest(kind)) for kind in kinds))


def area(own: np.ndarray, without: np.ndarray) -> float:
    """Area under the ROC curve of telling lists with something relevant from lists without."""
    found = roc_auc([*own, *without], [True] * len(own) + [False] * len(without))
    assert found is not None
    return found


def areas(head: Scores, cosine: Scores, kind: str, seed: int) -> dict[str, object]:
    """Both areas and their paired difference, with bootstrap intervals over records."""
    generator = np.random.default_rng(seed)
    ours, theirs, count = getattr(head, kind), getattr(cosine, kind), len(head.own)
    drawn = [generator.integers(count, size=count) for _ in range(RESAMPLES)]
    both = np.array([(area(head.own[i], ours[i]), area(cosine.own[i], theirs[i])) for i in drawn])

    def figure(value: float, samples: np.ndarray) -> dict[str, object]:
        return {"value": round(value, 4), "ci95": np.round(np.quantile(samples, [0.025, 0.975]), 4).tolist()}

    exact = area(head.own, ours), area(cosine.own, theirs)
    return {
        "relevance head": figure(exact[0], both[:, 0]),
        "highest cosine": figure(exact[1], both[:, 1]),
        "difference": figure(exact[0] - exact[1], both[:, 0] - both[:, 1]),
    }


def calibration(probabilities: Sequence[Sequence[float]], lists: Sequence[RankedList]) -> dict[str, object]:
    """Expected calibration error and Brier skill of all documents and of each list's first."""
    labels = [[bool(document.relevant) for document in ranked.documents] for ranked in lists]
    found = {}
    for name, width in (("all documents", None), ("first document", 1)):
        said = [p for row in probabilities for p in row[:width]]
        true = [label for row in labels for label in row[:width]]
        found[name] = {
            "documents": len(said),
            "expected_calibration_error": round(expected_calibration_error(said, true), 4),
            "brier_skill": brier_skill_score(said, true),
        }
    return found


def citations(pipeline: Pipeline, lists: Sequence[Lists]) -> dict[str, object]:
    """Precision and recall of cited against relevant documents, in answers that read what pruning keeps."""
    cited = relevant = right = answered = 0
    for one in lists:
        answer = pipeline.ask(
            one.own.question, one.own.documents, one.own.document_vectors, max_new_tokens=32, abstain=False
        )
        gold = {place for place, document in enumerate(one.own.documents, 1) if document.relevant}
        cited, relevant = cited + len(answer.citations), relevant + len(gold)
        right += len(gold & set(answer.citations))
        answered += bool(answer.citations)
    return {
        "records": len(lists),
        "answers with a citation": answered,
        "precision": right / max(cited, 1),
        "recall": right / relevant,
    }


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--adapter")
    parser.add_argument("--limit", type=int, help="records of each file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--vectors", type=Path, help="a folder that keeps vectors for later runs")
    parser.add_argument("--citations", action="store_true", help="answer as well, and measure citations")
    options = parser.parse_args()
    pipeline = Pipeline.from_pretrained(options.adapter)
    files = [sample(read_records(path), options.limit, options.seed) for path in options.data]
    records = [record for file in files for record in file]
    lists = three_lists(files, describe_records(pipeline.encoder, records, options.vectors), options.seed)

    def probabilities(ranked: list[RankedList]) -> list[tuple[float, ...]]:
        found = relevance_probabilities(pipeline.reader, ranked)
        assert found is not None
        return list(found)

    head = scored(lists, lambda ranked: [max(row) for row in probabilities(ranked)])
    cosine = scored(lists, lambda ranked: [float((r.document_vectors @ r.query_vector).max()) for r in ranked])
    threshold = pipeline.reader.adapter.config.calibration.threshold
    kinds = [one.own for one in lists], [one.removed for one in lists]
    both = [ranked for kind in kinds for ranked in kind]
    result: dict[str, object] = {
        "records": len(lists),
        "auc gold removed": areas(head, cosine, "removed", options.seed),
        "auc off-topic": areas(head, cosine, "off_topic", options.seed),
        "calibration, lists as they are": calibration(probabilities(kinds[0]), kinds[0]),
        "calibration, with gold-removed lists": calibration(probabilities(both), both),
        "abstained at the threshold": {
            kind: round(float((getattr(head, kind) < threshold).mean()), 4) for kind in ("own", "removed", "off_topic")
        },
        "threshold": threshold,
    }
    if options.citations:
        result["citations"] = citations(pipeline, lists)
    print(json.dumps({"trust": result}, indent=2))


if __name__ == "__main__":
    main()
