"""Whether probabilities of relevance mean what they say, of first documents too, and whether citations are right.

    python benchmarks/trust.py --data records.jsonl.gz … --adapter DIR [--vectors DIR]

Prints the expected calibration error and the Brier skill of all documents and of the first alone: of each record's list
in the encoder's order, and with the same lists without their relevant documents. `r2ag study calibration` has
intervals, and the areas under the ROC curve.

    python benchmarks/trust.py … --citations --limit 50

also answers, and gives precision and recall of citations against the relevant documents (pooled over records).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from turns import finish, parser

from r2ag.evaluation.run import relevance_probabilities
from r2ag.evaluation.trust import Lists, brier_skill_score, expected_calibration_error, three_lists
from r2ag.pipeline import Pipeline
from r2ag.records import read_files
from r2ag.records.split import sample
from r2ag.records.vectors import describe_records
from r2ag.types import RankedList


def calibration(pipeline: Pipeline, lists: Sequence[RankedList]) -> dict[str, object]:
    """Expected calibration error and Brier skill of all documents and of each list's first."""
    probabilities = relevance_probabilities(pipeline.reader, lists) or ()
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
    arguments = parser(__doc__, seed=0)
    arguments.add_argument("--data", type=Path, nargs="+", required=True)
    arguments.add_argument("--adapter")
    arguments.add_argument("--limit", type=int, help="records of each file")
    arguments.add_argument("--vectors", type=Path, help="a folder that keeps vectors for later runs")
    arguments.add_argument("--citations", action="store_true", help="answer as well, and measure citations")
    options = arguments.parse_args()
    pipeline = Pipeline.from_pretrained(options.adapter)
    records = [r for file in read_files(options.data) for r in sample(file, options.limit, options.seed)]
    described = describe_records(pipeline.encoder, records, options.vectors)
    lists = [one for one in three_lists(described, [r.dataset for r in records], options.seed) if one is not None]
    own, removed = [one.own for one in lists], [one.removed for one in lists]
    result: dict[str, object] = {
        "records": len(lists),
        "calibration, lists as they are": calibration(pipeline, own),
        "calibration, with gold-removed lists": calibration(pipeline, own + removed),
    }
    if options.citations:
        result["citations"] = citations(pipeline, lists)
    finish("trust", result, options)


if __name__ == "__main__":
    main()
