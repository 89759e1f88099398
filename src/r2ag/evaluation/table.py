"""Results as Markdown tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_RANKING = {
    "recall_at_1": "recall at 1",
    "success_at_1": "first is relevant",
    "recall_at_5": "recall at 5",
    "ndcg_at_10": "nDCG at 10",
}


@dataclass(frozen=True)
class Table:
    """Words in the first column, numbers in the others."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def markdown(results: Mapping[str, Any]) -> str:
    """Tables of the methods, their paired differences and the retrieval: pooled, then each data set."""
    return "\n".join(_section(title, figures) for title, figures in sections(results))


def sections(results: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Titles with the figures that belong under them: all records and, where there are several, each data set."""
    datasets = results.get("by_dataset", {})
    title = "All records" if len(datasets) != 1 else next(iter(datasets))
    return [(title, results)] + (list(datasets.items()) if len(datasets) > 1 else [])


def tables(figures: Mapping[str, Any]) -> list[Table]:
    """A section's tables, without those that would be empty."""
    made = [_methods(figures["methods"]), _paired(figures["paired"]), _retrieval(figures["retrieval"])]
    return [one for one in made if one.rows]


def _section(title: str, figures: Mapping[str, Any]) -> str:
    head = f"## {title} ({figures['records']} records)\n"
    return "\n".join([head, *(table(one.head, one.rows) for one in tables(figures))])


_COLUMNS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "Acc": lambda m: with_interval(m["acc"], m["acc_ci95"]),
    "Acc (words)": lambda m: f"{m['acc_word']:.3f}",
    "EM": lambda m: f"{m['em']:.3f}",
    "F1": lambda m: with_interval(m["f1"], m["f1_ci95"]),
    "Rouge-L": lambda m: f"{m['rouge_l']:.3f}",
    "answer words": lambda m: f"{m['answer_words_mean']:.1f}",
    "documents": lambda m: f"{m['documents_read_mean']:.1f}",
    "prompt tokens": lambda m: f"{m['prompt_tokens_mean']:.0f}",
    "s a question": lambda m: f"{m['seconds_per_question']:.2f}",
}


def _methods(methods: Mapping[str, Mapping[str, Any]]) -> Table:
    rows = tuple((name, *(cell(m) for cell in _COLUMNS.values())) for name, m in methods.items())
    return Table(("method", *_COLUMNS), rows)


def _paired(paired: Mapping[str, Mapping[str, Any]]) -> Table:
    rows = tuple(
        (
            name,
            with_interval(p["acc_diff"], p["ci95"], "+"),
            f"{p['mcnemar_p']:.2g}",
            with_interval(p["f1_diff"], p["f1_ci95"], "+"),
        )
        for name, p in paired.items()
    )
    return Table(("difference by record", "Acc", "McNemar's p", "F1"), rows)


def _retrieval(retrieval: Mapping[str, Any]) -> Table:
    orders = {"the list": retrieval}
    if "relevance_head" in retrieval:
        orders["relevance head"] = retrieval["relevance_head"]
    rows = tuple(
        (name, with_interval(r["map"], r["map_ci95"]), *(f"{r[key]:.3f}" for key in _RANKING))
        for name, r in orders.items()
        if r["records"]
    )
    return Table(("order of documents", "MAP", *_RANKING.values()), rows)


def with_interval(mean: float, ends: Sequence[float], sign: str = "") -> str:
    """A mean with the ends of its interval; a `sign` of "+" is for differences."""
    return f"{mean:{sign}.3f} [{ends[0]:{sign}.3f}, {ends[1]:{sign}.3f}]"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose first column is words and the others are numbers."""
    ruler = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ruler, *rows)) + "\n"
