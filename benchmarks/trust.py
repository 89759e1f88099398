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
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from r2ag.evaluation.intervals import Interval
from r2ag.evaluation.run import relevance_probabilities
from r2ag.evaluation.trust import Areas, Lists, areas, brier_skill_score, expected_calibration_error, three_lists
from r2ag.pipeline import Pipeline
from r2ag.records import read_records
from r2ag.records.split import sample
from r2ag.records.vectors import describe_records
from r2ag.types import RankedList

KINDS = ("own", "removed", "off_topic")


def in_words(found: Areas) -> dict[str, object]:
    """Areas and their paired difference, rounded."""

    def figure(interval: Interval) -> dict[str, object]:
        return {"value": round(interval.mean, 4), "ci95": np.round(interval.ends, 4).tolist()}

    return {
        "relevance head": figure(found.head),
        "highest cosine": figure(found.cosine),
        "difference": figure(found.difference),
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
    sources = [number for number, file in enumerate(files) for _ in file]
    described = describe_records(pipeline.encoder, records, options.vectors)
    lists = [one for one in three_lists(described, sources, options.seed) if one is not None]
    kinds = {kind: [getattr(one, kind) for one in lists] for kind in KINDS}

    def probabilities(ranked: list[RankedList]) -> list[tuple[float, ...]]:
        found = relevance_probabilities(pipeline.reader, ranked)
        assert found is not None
        return list(found)

    head = {kind: np.array([max(row) for row in probabilities(ranked)]) for kind, ranked in kinds.items()}
    cosine = {
        kind: np.array([float((one.document_vectors @ one.query_vector).max()) for one in ranked])
        for kind, ranked in kinds.items()
    }
    threshold = pipeline.reader.adapter.config.calibration.threshold
    both = kinds["own"] + kinds["removed"]
    result: dict[str, object] = {
        "records": len(lists),
        "auc gold removed": in_words(areas(head, cosine, "removed", options.seed)),
        "auc off-topic": in_words(areas(head, cosine, "off_topic", options.seed)),
        "calibration, lists as they are": calibration(probabilities(kinds["own"]), kinds["own"]),
        "calibration, with gold-removed lists": calibration(probabilities(both), both),
        "abstained at the threshold": {
            kind: round(float((scores < threshold).mean()), 4) for kind, scores in head.items()
        },
        "threshold": threshold,
    }
    if options.citations:
        result["citations"] = citations(pipeline, lists)
    print(json.dumps({"trust": result}, indent=2))


if __name__ == "__main__":
    main()
