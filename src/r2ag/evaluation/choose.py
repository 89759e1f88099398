"""The strongest plain RAG that an LLM can do: its prompt family and number of documents, chosen on training records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from r2ag.adapter import AdapterConfig
from r2ag.errors import InputError
from r2ag.evaluation.methods.base import Spec
from r2ag.evaluation.methods.bench import Bench
from r2ag.evaluation.methods.rag import Rag, plain_rag
from r2ag.evaluation.metrics import acc
from r2ag.evaluation.ordering import Order
from r2ag.evaluation.run import Progress, evaluate
from r2ag.templates import PLAIN_FAMILIES
from r2ag.types import RankedList, Record

if TYPE_CHECKING:
    from r2ag.encoder import FeatureEncoder
    from r2ag.reader import Reader

TOP_NS = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class PromptChoice:
    """What plain RAG does best, with the Acc of everything that was tried on `records` training records."""

    family: str
    top_n: int
    family_acc: Mapping[str, float]
    top_n_acc: Mapping[int, float]
    records: int

    def applied(self, config: AdapterConfig) -> AdapterConfig:
        """An adapter's configuration with this choice."""
        return replace(config, plain_prompt=self.family, plain_top_n=self.top_n)


def choose_prompt(
    records: Sequence[Record],
    lists: Sequence[RankedList],
    reader: Reader,
    encoder: FeatureEncoder | None = None,
    *,
    families: Sequence[str] = tuple(PLAIN_FAMILIES),
    top_ns: Sequence[int] = TOP_NS,
    k: int | None = None,
    order: Order = "encoder",
    seed: int = 0,
    max_new_tokens: int = 32,
    output: Path | None = None,
    batch_size: int = 1,
    progress: Progress | None = None,
) -> PromptChoice:
    """Tries each family on whole lists, then the best one on each list's top n; the earlier of equals wins.

    Args:
        records: of training data, never of a test.

    Raises:
        InputError: there is nothing to try, or a family is unknown.
    """
    if not records or not families or not top_ns:
        raise InputError("There is nothing to choose from; give records, prompt families and numbers of documents.")
    bench = Bench(reader, encoder, max_new_tokens, seed)
    options: dict[str, Any] = {"k": k, "order": order, "seed": seed, "output": output}
    options |= {"batch_size": batch_size, "progress": progress}

    def accuracies(methods: Sequence[Rag]) -> list[float]:
        answers = evaluate(records, lists, methods, **options).predictions
        return [
            fmean(acc(p.text, record.answers) for p, record in zip(answers[method.name], records, strict=True))
            for method in methods
        ]

    tried = [plain_rag(Spec.parse(f"rag:{family}"), family, bench) for family in families]
    family_acc = dict(zip(families, accuracies(tried), strict=True))
    family = max(family_acc, key=lambda name: family_acc[name])
    shortened = [plain_rag(Spec.parse(f"rag-topn:{n}"), family, bench, n) for n in top_ns]
    top_n_acc = dict(zip(top_ns, accuracies(shortened), strict=True))
    top_n = max(top_n_acc, key=lambda n: top_n_acc[n])
    return PromptChoice(family, top_n, family_acc, top_n_acc, len(records))
