"""What an adapter remembers of its LLM, chosen on held-back records.

That is the strongest plain RAG that it can do (prompt family and number of documents), and the probability below which
R²AG leaves a document out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from r2ag.adapter.config import AdapterConfig
from r2ag.errors import InputError
from r2ag.evaluation.methods import Method, Spec, create_method, parse_methods
from r2ag.evaluation.methods.bench import Bench
from r2ag.evaluation.methods.rag import plain_rag
from r2ag.evaluation.metrics import acc, f1
from r2ag.evaluation.run import Order, evaluate
from r2ag.method.templates import PLAIN_FAMILIES
from r2ag.types import Progress, RankedList, Record

if TYPE_CHECKING:
    from r2ag.answering.reader import Reader
    from r2ag.encoder.encoder import FeatureEncoder

TOP_NS = (1, 2, 3, 4, 5)
THRESHOLDS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7)


class Score(NamedTuple):
    """Means over records. F1 decides between equals in Acc: hardly any answer holds all of a long gold answer."""

    acc: float
    f1: float


@dataclass(frozen=True)
class Choice:
    """What answers best, with the scores of everything that was tried on `records` training records.

    `prune_threshold` is None where the adapter tells no relevance.
    """

    family: str
    top_n: int
    prune_threshold: float | None
    family_scores: Mapping[str, Score]
    top_n_scores: Mapping[int, Score]
    prune_scores: Mapping[float, Score]
    records: int

    def applied(self, config: AdapterConfig) -> AdapterConfig:
        """An adapter's configuration with this choice."""
        chosen = replace(config, plain_prompt=self.family, plain_top_n=self.top_n)
        if self.prune_threshold is None:
            return chosen
        return replace(chosen, calibration=replace(config.calibration, prune_threshold=self.prune_threshold))


def choose(
    records: Sequence[Record],
    lists: Sequence[RankedList],
    reader: Reader,
    encoder: FeatureEncoder | None = None,
    *,
    families: Sequence[str] = tuple(PLAIN_FAMILIES),
    top_ns: Sequence[int] = TOP_NS,
    thresholds: Sequence[float] = THRESHOLDS,
    k: int | None = None,
    order: Order = "encoder",
    seed: int = 0,
    output: Path | None = None,
    max_new_tokens: int = 32,
    batch_size: int = 1,
    progress: Progress | None = None,
) -> Choice:
    """The family with the highest Acc on whole lists, its best number of documents, and the best pruning threshold.

    Of equals the one with the highest F1 wins, then the one named first. `k` and what follows are those of `evaluate`.

    Raises:
        InputError: there is nothing to try, or a family is unknown.
    """
    if not records or not families or not top_ns:
        raise InputError("There is nothing to choose from; give records, prompt families and numbers of documents.")
    bench = Bench(reader, encoder, max_new_tokens, seed)
    options: dict[str, Any] = {"k": k, "order": order, "seed": seed, "output": output}
    options |= {"batch_size": batch_size, "progress": progress}

    def scores(methods: Sequence[Method]) -> list[Score]:
        answers = evaluate(records, lists, methods, **options).predictions
        return [_score([p.text for p in answers[method.name]], records) for method in methods]

    tried = [plain_rag(Spec.parse(f"rag:{family}"), family, bench) for family in families]
    family_scores = dict(zip(families, scores(tried), strict=True))
    family = max(family_scores, key=lambda name: family_scores[name])
    shortened = [plain_rag(Spec.parse(f"rag-topn:{n}"), family, bench, n) for n in top_ns]
    top_n_scores = dict(zip(top_ns, scores(shortened), strict=True))
    top_n = max(top_n_scores, key=lambda n: top_n_scores[n])
    prune_scores: dict[float, Score] = {}
    if reader.adapter.config.method == "r2ag":
        specs = parse_methods([f"r2ag+prune:{threshold}" for threshold in thresholds])
        prune_scores = dict(zip(thresholds, scores([create_method(spec, bench) for spec in specs]), strict=True))
    threshold = max(prune_scores, key=lambda value: prune_scores[value]) if prune_scores else None
    return Choice(family, top_n, threshold, family_scores, top_n_scores, prune_scores, len(records))


def _score(texts: Sequence[str], records: Sequence[Record]) -> Score:
    pairs = [(text, record.answers) for text, record in zip(texts, records, strict=True)]
    return Score(fmean(acc(*pair) for pair in pairs), fmean(f1(*pair) for pair in pairs))
