"""Figures of an evaluation as one JSON object: pooled, and for each data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import fmean
from typing import Any

from r2ag.evaluation.intervals import mcnemar, mean_interval, paired_interval
from r2ag.evaluation.methods import Prediction
from r2ag.evaluation.metrics import Scores, answer_words, is_yes_no, score
from r2ag.evaluation.ranking import labels_of, ranking_figures
from r2ag.evaluation.stored import Evaluation
from r2ag.evaluation.trust import brier_skill_score, expected_calibration_error, roc_auc
from r2ag.types import Record

PAIRED = ("acc", "acc_word", "f1")


def results(evaluation: Evaluation, all_pairs: bool = False) -> dict[str, Any]:
    """All figures, with 95 % bootstrap intervals.

    Args:
        all_pairs: compare every two methods, not only each with the first.
    """
    scores = {
        name: [score(p.text, record.answers) for p, record in zip(predictions, evaluation.records, strict=True)]
        for name, predictions in evaluation.predictions.items()
    }
    datasets = list(dict.fromkeys(record.dataset for record in evaluation.records))
    rows = {name: [i for i, r in enumerate(evaluation.records) if r.dataset == name] for name in datasets}
    pooled = _section(evaluation, scores, range(len(evaluation.records)), all_pairs)
    return {
        "records": pooled.pop("records"),
        "k": evaluation.k,
        "models": dict(evaluation.models),
        **pooled,
        "by_dataset": {name: _section(evaluation, scores, rows[name], all_pairs) for name in datasets},
    }


def _section(
    evaluation: Evaluation, scores: Mapping[str, Sequence[Scores]], rows: Sequence[int], all_pairs: bool
) -> dict[str, Any]:
    records = [evaluation.records[row] for row in rows]
    chosen = {name: [values[row] for row in rows] for name, values in scores.items()}
    return {
        "records": len(records),
        "methods": {
            name: _method(records, values, [evaluation.predictions[name][row] for row in rows])
            for name, values in chosen.items()
        },
        "retrieval": _retrieval(evaluation, rows),
        "paired": {f"{a} vs {b}": _difference(chosen[a], chosen[b]) for a, b in _pairs(list(chosen), all_pairs)},
    }


def _method(records: Sequence[Record], scores: Sequence[Scores], predictions: Sequence[Prediction]) -> dict[str, Any]:
    acc, f1 = mean_interval([s.acc for s in scores]), mean_interval([s.f1 for s in scores])
    return {
        "acc": acc.mean,
        "acc_ci95": acc.ends,
        "acc_word": fmean(s.acc_word for s in scores),
        "em": fmean(s.em for s in scores),
        "f1": f1.mean,
        "f1_ci95": f1.ends,
        "rouge_l": fmean(s.rouge_l for s in scores),
        "yes_no": _yes_no(records, scores),
        "answer_words_mean": fmean(answer_words(p.text) for p in predictions),
        "abstained": sum(p.abstained for p in predictions),
        "documents_read_mean": fmean(p.documents_read for p in predictions),
        "prompt_tokens_mean": fmean(p.prompt_tokens for p in predictions),
        "completion_tokens_mean": fmean(p.completion_tokens for p in predictions),
        "seconds_per_question": fmean(p.seconds for p in predictions),
    }


def _yes_no(records: Sequence[Record], scores: Sequence[Scores]) -> dict[str, Any]:
    """Questions of yes or no apart: a coin answers half of them, and "no" is a substring of many words."""
    asked = [s for s, record in zip(scores, records, strict=True) if is_yes_no(record.answers)]
    if not asked:
        return {"records": 0}
    means = {name: fmean(getattr(s, name) for s in asked) for name in ("acc", "acc_word", "em")}
    return {"records": len(asked), **means}


def _retrieval(evaluation: Evaluation, rows: Sequence[int]) -> dict[str, Any]:
    """Of the lists as they were read; records without a relevant document have no rank to measure."""
    totals = {row: sum(labels_of(evaluation.records[row].documents)) for row in rows}
    labels = {row: labels_of(evaluation.lists[row].documents) for row in rows}
    measured = [row for row in rows if totals[row]]
    wanted = [totals[row] for row in measured]
    figures = ranking_figures([labels[row] for row in measured], wanted)
    if evaluation.probabilities is not None:
        probabilities = {row: evaluation.probabilities[row] for row in rows}
        by_head = [_by_falling(labels[row], probabilities[row]) for row in measured]
        figures["relevance_head"] = ranking_figures(by_head, wanted) | _reliability(labels, probabilities)
    return figures


def _by_falling(labels: Sequence[bool], probabilities: Sequence[float]) -> list[bool]:
    order = sorted(range(len(labels)), key=lambda index: -probabilities[index])
    return [labels[index] for index in order]


def _reliability(
    labels: Mapping[int, Sequence[bool]], probabilities: Mapping[int, Sequence[float]]
) -> dict[str, float | None]:
    """Of each document's probability; and of a list's highest, which decides whether to abstain."""
    highest, answerable = [max(row) for row in probabilities.values()], [any(row) for row in labels.values()]
    said = [probability for row in probabilities.values() for probability in row]
    true = [label for row in labels.values() for label in row]
    return {
        "expected_calibration_error": expected_calibration_error(said, true),
        "brier_skill": brier_skill_score(said, true),
        "roc_auc": roc_auc(said, true),
        "answerable_roc_auc": roc_auc(highest, answerable),
    }


def _pairs(names: Sequence[str], all_pairs: bool) -> list[tuple[str, str]]:
    """Each method against the first; with `all_pairs` each against all before it."""
    if all_pairs:
        return [(later, earlier) for earlier, later in combinations(names, 2)]
    return [(name, names[0]) for name in names[1:]]


def _difference(scores: Sequence[Scores], others: Sequence[Scores]) -> dict[str, Any]:
    ours, theirs = ({name: [getattr(s, name) for s in one] for name in PAIRED} for one in (scores, others))
    found = {name: paired_interval(ours[name], theirs[name]) for name in PAIRED}
    return {
        "acc_diff": found["acc"].mean,
        "ci95": found["acc"].ends,
        "mcnemar_p": mcnemar(ours["acc"], theirs["acc"]),
        "acc_word_diff": found["acc_word"].mean,
        "acc_word_ci95": found["acc_word"].ends,
        "f1_diff": found["f1"].mean,
        "f1_ci95": found["f1"].ends,
    }
