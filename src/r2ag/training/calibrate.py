"""Fits an adapter's probabilities and threshold on held-back records: `r2ag calibrate`, and the end of training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from r2ag.adapter.adapter import Adapter
from r2ag.encoder.encoder import rank_by_similarity
from r2ag.method.calibration import Calibration, choose_threshold, fit_platt
from r2ag.method.features import list_features
from r2ag.training.lists import DescribedRecord


def calibrate(
    adapter: Adapter, calibration: Sequence[DescribedRecord], threshold: Sequence[DescribedRecord], fitted_on: str
) -> Calibration:
    """Platt scaling on the one part and the threshold for "something relevant is here" on the other.

    Both parts are read twice: as they are, and without their relevant documents, so that a probability is not only
    right where a relevant document exists.
    """
    logits, relevant = _relevance(adapter, calibration)
    slope, intercept = fit_platt(
        [logit for row in logits for logit in row], [label for row in relevant for label in row]
    )
    fitted = Calibration(slope, intercept, fitted_on=fitted_on)
    logits, relevant = _relevance(adapter, threshold)
    best = [max(fitted.probability(logit) for logit in row) for row in logits]
    return replace(
        fitted,
        threshold=choose_threshold(best, [any(row) for row in relevant]),
        prune_threshold=adapter.config.calibration.prune_threshold,
    )


@torch.inference_mode()
def _relevance(adapter: Adapter, records: Sequence[DescribedRecord]) -> tuple[list[list[float]], list[list[bool]]]:
    limit = adapter.config.former.max_documents
    ranked = [rank_by_similarity(described.ranked) for described in records]
    lists = [*ranked, *(rest for r in ranked if (rest := r.without_relevant()) is not None)]
    lists = [r.reordered(list(range(min(limit, len(r))))) for r in lists]
    device = next(adapter.former.parameters()).device
    logits = []
    for start in range(0, len(lists), 64):
        features, mask = list_features(
            lists[start : start + 64], adapter.config.encoder.similarity, adapter.config.former.features
        )
        output = adapter.former.eval()(features.to(device), mask.to(device))
        logits += [row[keep].tolist() for row, keep in zip(output.logits.cpu(), mask, strict=True)]
    return logits, [[bool(document.relevant) for document in r.documents] for r in lists]
