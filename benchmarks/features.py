"""How much faster the retrieval features come in one batch than in a plain loop over documents.

    python benchmarks/features.py [--k 20] [--batch 64] [--dimension 384] [--runs 30] [--threads 1]

Prints one JSON object: milliseconds for the whole batch (median and quartiles) and the ratios of the medians. The ways
take turns within one process, so that a busy machine slows them alike; `batch_again` is the batch once more, with its
vectors in the processor's caches, as a loop has them after its first documents. Both loops compute in float32 what
equations 10-12 say, one document after the other; a warning on stderr tells when a loop and the batch disagree.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from turns import finish, parser, spread, timed

from r2ag.method.features import retrieval_features


def numpy_loop(query: np.ndarray, documents: np.ndarray) -> list[tuple[float, float, float]]:
    """One list, cosine similarity."""

    def unit(vector: np.ndarray) -> np.ndarray:
        return vector / np.linalg.norm(vector)

    query, documents = unit(query), [unit(document) for document in documents]
    relevance = [float(query @ document) for document in documents]
    weights = [math.exp(r) for r in relevance]
    total = sum(weights)
    features = []
    for i, document in enumerate(documents):
        precedent = 0.0
        if i > 0:
            weighted = sum(weights[j] / total * documents[j] for j in range(i))
            precedent = float(document @ unit(weighted))
        neighbours = [float(document @ documents[j]) for j in (i - 1, i + 1) if 0 <= j < len(documents)]
        features.append((relevance[i], precedent, sum(neighbours) / max(len(neighbours), 1)))
    return features


def torch_loop(query: torch.Tensor, documents: torch.Tensor) -> list[tuple[float, float, float]]:
    """The same as one writes it with torch's cosine_similarity."""
    documents = F.normalize(documents, dim=-1)
    relevance = [F.cosine_similarity(query, document, dim=0) for document in documents]
    weights = torch.stack(relevance).softmax(dim=0)
    features = []
    for i, document in enumerate(documents):
        precedent = 0.0
        if i > 0:
            weighted = sum(weights[j] * documents[j] for j in range(i))
            precedent = F.cosine_similarity(document, weighted, dim=0).item()
        neighbours = [
            F.cosine_similarity(document, documents[j], dim=0).item() for j in (i - 1, i + 1) if 0 <= j < len(documents)
        ]
        features.append((relevance[i].item(), precedent, sum(neighbours) / max(len(neighbours), 1)))
    return features


def main() -> None:
    """Prints milliseconds, and how many times faster the batch is."""
    options = parser(__doc__, k=20, batch=64, dimension=384, runs=30, threads=1).parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    query = torch.randn(options.batch, options.dimension)
    documents = torch.randn(options.batch, options.k, options.dimension) + query[:, None]
    mask = torch.ones(options.batch, options.k, dtype=torch.bool)
    queries_np, documents_np = query.numpy(), documents.numpy()

    ways: dict[str, Callable[[], object]] = {
        "batch": lambda: retrieval_features(query, documents, mask),
        "batch_again": lambda: retrieval_features(query, documents, mask),
        "numpy_loop": lambda: [numpy_loop(q, d) for q, d in zip(queries_np, documents_np, strict=True)],
        "torch_loop": lambda: [torch_loop(q, d) for q, d in zip(query, documents, strict=True)],
    }
    with torch.inference_mode():
        results = {name: torch.as_tensor(way()) for name, way in ways.items()}
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(options.runs):
            for name, way in ways.items():  # in one order: the batch comes cold, batch_again warm
                times[name].append(1000 * timed(way, time.perf_counter)[0])
    for name, result in results.items():
        if not torch.allclose(result, results["batch"], atol=1e-5):
            print(f"{name} and the batch disagree.", file=sys.stderr)
    report = {name: spread(values, 3) for name, values in times.items()}
    median = {name: one["median"] for name, one in report.items()}
    ratios = {
        batch: {loop: round(median[loop] / median[batch], 1) for loop in ("numpy_loop", "torch_loop")}
        for batch in ("batch", "batch_again")
    }
    finish("features", {"milliseconds": report, "times_faster": ratios}, options)


if __name__ == "__main__":
    main()
