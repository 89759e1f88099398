"""How well each way of finding finds: recall and nDCG at 10, by ir-measures, on a corpus that is searched as a whole.

    python benchmarks/finding.py FOLDER [--split test] [--reranker MODEL] [--encoder MODEL]
    python benchmarks/finding.py RECORDS… [--passages 10000] [--questions 300] [--seed 0] [--reranker MODEL]
    … --store DIR    keeps the store there, and takes it from there where it is

FOLDER is one of BEIR's (corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv). Out of files of records a corpus is pooled: the
questions are held-back ones (r2ag.records.split), the passages theirs that are relevant, filled up with other passages
of the files. A passage counts as relevant for the questions whose own records say so, so that another one that answers
a question as well counts as a miss. All of it goes through a real store and the finders of `r2ag ask --finder`, with
the shipped adapter's encoder or another one; --reranker is a cross-encoder of sentence-transformers that reads the best
50 of hybrid search. Prints one JSON object: for each
way means with 95 % bootstrap intervals, and paired differences from dense search.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from turns import finish, parser, timed

from r2ag.adapter.adapter import Adapter
from r2ag.adapter.loading import PRETRAINED, load_encoder
from r2ag.encoder.encoder import FeatureEncoder
from r2ag.evaluation.intervals import mean_interval, paired_interval
from r2ag.evaluation.ranking import RankingScores, score_rankings
from r2ag.records.files import read_records
from r2ag.records.formats.beir import OpenRetrieval, Question, is_beir, read_beir
from r2ag.records.split import by_hash, split_records
from r2ag.retrieval import BM25Finder, DenseFinder, Finder, HybridFinder
from r2ag.store import Store, StoredFile
from r2ag.types import Document, Record

DEPTH = 100
PASSAGES_A_FILE = 500
MEASURES = ("recall_at_5", "recall_at_10", "ndcg_at_10")


def pooled(files: Sequence[Path], passages: int, questions: int, seed: int) -> OpenRetrieval:
    """Held-back questions of records over one corpus: their relevant passages, then others, as a hash orders them."""
    records = [record for file in files for record in read_records(file)]
    split = split_records(records)
    held_back = {one.question: one for one in (*split.stopping, *split.calibration, *split.threshold) if _gold(one)}
    drawn = by_hash(map(Document, held_back), seed)[:questions]
    asked = [held_back[question.text] for question in drawn]
    gold = dict.fromkeys(document for record in asked for document in _gold(record))
    others = dict.fromkeys(_bare(document) for record in records for document in record.documents)
    corpus = tuple(dict.fromkeys([*gold, *by_hash((one for one in others if one not in gold), seed)]))[:passages]
    places = {document: place for place, document in enumerate(corpus)}
    return OpenRetrieval(
        "pooled",
        corpus,
        tuple(Question(one.id, one.question, one.answers, frozenset(places[d] for d in _gold(one))) for one in asked),
    )


def _gold(record: Record) -> list[Document]:
    return [_bare(document) for document in record.documents if document.relevant]


def _bare(document: Document) -> Document:
    return Document(document.text, document.title)


def stored(data: OpenRetrieval, folder: Path, encoder: FeatureEncoder) -> Store:
    """A store of the corpus; each passage's place is its number there."""
    store = Store.create(folder, encoder)
    if store.info().documents:
        return store
    documents = [replace(document, place=str(place)) for place, document in enumerate(data.corpus)]
    vectors = encoder.encode_documents(documents, progress=True)
    with store.writing() as writer:
        for start in range(0, len(documents), PASSAGES_A_FILE):
            part = slice(start, start + PASSAGES_A_FILE)
            with writer.batch():
                writer.put(StoredFile(f"part {start}", "", 0, 0.0, {}), documents[part], vectors[part])
    return store


def found_by(finder: Finder, questions: Sequence[Question]) -> tuple[list[RankingScores], float]:
    """Each question's scores, and the milliseconds of the processor that finding one took."""
    spent, found = timed(lambda: [finder.find(question.text, DEPTH) for question in questions])
    pairs = zip(questions, found, strict=True)
    labels = [[int(document.place) in question.relevant for document in one.documents] for question, one in pairs]
    return score_rankings(labels, [len(question.relevant) for question in questions]), 1000 * spent / len(questions)


def compared(ways: dict[str, Finder], questions: Sequence[Question]) -> dict[str, Any]:
    report: dict[str, Any] = {}
    first: list[RankingScores] = []
    for name, finder in ways.items():
        scores, spent = found_by(finder, questions)
        first = first or scores
        figures: dict[str, Any] = {"processor_ms_a_question": round(spent, 1)}
        for measure in MEASURES:
            values = [getattr(score, measure) for score in scores]
            interval = mean_interval(values)
            figures[measure] = _rounded([interval.mean, *interval.ends])
            if scores is not first:
                paired = paired_interval(values, [getattr(score, measure) for score in first])
                figures[f"{measure} less dense's"] = _rounded([paired.mean, *paired.ends])
        report[name] = figures
        print(name, figures, file=sys.stderr)
    return report


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(value, 4) for value in values]


def main() -> None:
    arguments = parser(__doc__, passages=10_000, questions=300, seed=0)
    arguments.add_argument("data", nargs="+", type=Path)
    arguments.add_argument("--split", default="test")
    arguments.add_argument("--reranker")
    arguments.add_argument("--store", type=Path)
    arguments.add_argument("--encoder")
    options = arguments.parse_args()
    if is_beir(options.data[0]):
        data = read_beir(options.data[0], options.split)
    else:
        data = pooled(options.data, options.passages, options.questions, options.seed)
    if options.encoder:
        encoder = FeatureEncoder.from_pretrained(options.encoder)
    else:
        encoder = load_encoder(Adapter.from_pretrained(PRETRAINED))
    with tempfile.TemporaryDirectory() as folder:
        store = stored(data, options.store or Path(folder) / "store", encoder)
        if store.info().documents != len(data.corpus):
            arguments.error(f"{options.store} holds another corpus; name a new folder for --store.")
        hybrid = HybridFinder(store, encoder)
        ways: dict[str, Finder] = {"dense": DenseFinder(store, encoder), "bm25": BM25Finder(store), "hybrid": hybrid}
        if options.reranker:
            from r2ag.retrieval.rerank import RerankedFinder, load_cross_encoder

            ways["reranked"] = RerankedFinder(hybrid, load_cross_encoder(options.reranker))
        sizes = {
            "passages": len(data.corpus),
            "questions": len(data.questions),
            "relevant_a_question": round(sum(len(q.relevant) for q in data.questions) / len(data.questions), 2),
        }
        finish("finding", sizes | compared(ways, data.questions), options)


if __name__ == "__main__":
    main()
