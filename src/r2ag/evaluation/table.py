"""Results as Markdown tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_RANKING = {
    "recall_at_1": "recall at 1",
    "success_at_1": "first is relevant",
    "recall_at_5": "recall at 5",
    "ndcg_at_10": "nDCG at 10",
}


def markdown(results: Mapping[str, Any]) -> str:
    """Tables of the methods, their paired differences and the retrieval: pooled, then each data set."""
    datasets = results.get("by_dataset", {})
    title = "All records" if len(datasets) != 1 else next(iter(datasets))
    sections = [(title, results)] + (list(datasets.items()) if len(datasets) > 1 else [])
    return "\n".join(_section(name, figures) for name, figures in sections)


def _section(title: str, figures: Mapping[str, Any]) -> str:
    parts = [f"## {title} ({figures['records']} records)\n", _methods(figures["methods"])]
    if figures["paired"]:
        parts.append(_paired(figures["paired"]))
    parts.append(_retrieval(figures["retrieval"]))
    return "\n".join(parts)


def _methods(methods: Mapping[str, Mapping[str, Any]]) -> str:
    head = ["method", "Acc", "Acc (words)", "EM", "F1", "Rouge-L"]
    head += ["answer words", "documents", "prompt tokens", "s a question"]
    rows = [
        (
            name,
            _with_interval(m["acc"], m["acc_ci95"]),
            f"{m['acc_word']:.3f}",
            f"{m['em']:.3f}",
            _with_interval(m["f1"], m["f1_ci95"]),
            f"{m['rouge_l']:.3f}",
            f"{m['answer_words_mean']:.1f}",
            f"{m['documents_read_mean']:.1f}",
            f"{m['prompt_tokens_mean']:.0f}",
            f"{m['seconds_per_question']:.2f}",
        )
        for name, m in methods.items()
    ]
    return table(head, rows)


def _paired(paired: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        (
            name,
            _with_interval(p["acc_diff"], p["ci95"], "+"),
            f"{p['mcnemar_p']:.2g}",
            _with_interval(p["f1_diff"], p["f1_ci95"], "+"),
        )
        for name, p in paired.items()
    ]
    return table(("difference by record", "Acc", "McNemar's p", "F1"), rows)


def _retrieval(retrieval: Mapping[str, Any]) -> str:
    orders = {"the list": retrieval}
    if "relevance_head" in retrieval:
        orders["relevance head"] = retrieval["relevance_head"]
    rows = [
        (name, _with_interval(r["map"], r["map_ci95"]), *(f"{r[key]:.3f}" for key in _RANKING))
        for name, r in orders.items()
        if r["records"]
    ]
    return table(("order of documents", "MAP", *_RANKING.values()), rows) if rows else ""


def _with_interval(mean: float, ends: Sequence[float], sign: str = "") -> str:
    return f"{mean:{sign}.3f} [{ends[0]:{sign}.3f}, {ends[1]:{sign}.3f}]"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose first column is words and the others are numbers."""
    ruler = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ruler, *rows)) + "\n"
