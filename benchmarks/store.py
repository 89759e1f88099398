"""How quick the store searches, and what indexing costs beside the encoding that it has to do.

    python benchmarks/store.py [--documents 100000] [--dimension 384] [--runs 15] [--files 0] [--folder DIR]

Fills a store with random unit vectors and texts of random words (frequencies as in a language), then prints one JSON
object: processor milliseconds (median and quartiles) of each way of searching, which a busy machine changes little;
their ratios to a bare product of matrix and query; seconds to load the vectors; and memory. The ways take turns within
one process. With --files N, also what `index_files` costs on N small files with the default retriever, beside the bare
encoder on the same passages. Set OMP_NUM_THREADS=1, so that processor time is what one would wait.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from r2ag.retrieval import BM25Finder, DenseFinder, HybridFinder
from r2ag.store import Store, StoredFile, index_files
from r2ag.types import Document

WORDS, WORDS_A_TEXT, PASSAGES_A_FILE, FIELD_VALUES = 30_000, 100, 500, 10
FEW = f"part in ({', '.join(map(str, range(FIELD_VALUES // 5)))})"


class RandomEncoder:
    """Unit vectors drawn for each text; encoding costs next to nothing."""

    name, max_tokens = "random", 512

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def encode_queries(self, queries: list[str]) -> np.ndarray:
        return np.concatenate([self.draw(1, seed=len(query)) for query in queries])

    def encode_documents(self, documents: list[Document]) -> np.ndarray:
        return self.draw(len(documents), seed=len(documents))

    def draw(self, count: int, seed: int) -> np.ndarray:
        vectors = np.random.default_rng(seed).standard_normal((count, self.dimension), dtype=np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def random_texts(count: int, generator: np.random.Generator) -> list[str]:
    """Words whose frequency falls with their rank."""
    ranks = np.minimum(generator.zipf(1.2, (count, WORDS_A_TEXT)), WORDS)
    return [" ".join(f"w{rank}" for rank in row) for row in ranks.tolist()]


def fill(folder: Path, encoder: RandomEncoder, count: int) -> Store:
    store, generator = Store.create(folder, encoder), np.random.default_rng(0)
    with store.writing() as writer:
        for start in range(0, count, PASSAGES_A_FILE):
            documents = [Document(text) for text in random_texts(min(PASSAGES_A_FILE, count - start), generator)]
            number = start // PASSAGES_A_FILE
            file = StoredFile(f"{number}.txt", "digest", 1, 0.0, {"part": number % FIELD_VALUES})
            with writer.batch():
                writer.put(file, documents, encoder.draw(len(documents), seed=start))
    return store


def seconds(way: Callable[[], object]) -> float:
    """Processor time."""
    start = time.process_time()
    way()
    return time.process_time() - start


def summary(times: list[float]) -> dict[str, float]:
    low, median, high = (1000 * value for value in statistics.quantiles(times, n=4))
    return {"median": round(median, 2), "q1": round(low, 2), "q3": round(high, 2)}


def searching(folder: Path, options: argparse.Namespace) -> dict[str, object]:
    encoder = RandomEncoder(options.dimension)
    filling = seconds(lambda: fill(folder, encoder, options.documents))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    store = Store.open(folder)
    dense, bm25, hybrid = DenseFinder(store, encoder), BM25Finder(store), HybridFinder(store, encoder)
    question, few = "w7 w40 w900 w12000 w3", FEW
    first = seconds(lambda: dense.find(question, 10))
    loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    matrix, query = encoder.draw(options.documents, 1), encoder.draw(1, 2)[0]
    ways: dict[str, Callable[[], object]] = {
        "bare product": lambda: matrix @ query,
        "dense": lambda: dense.find(question, 10),
        "dense, a fifth passes --where": lambda: dense.find(question, 10, few),
        "bm25": lambda: bm25.find(question, 10),
        "bm25, a fifth passes --where": lambda: bm25.find(question, 10, few),
        "hybrid": lambda: hybrid.find(question, 10),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for run in range(options.runs + 1):
        for name, way in ways.items():
            taken = seconds(way)
            if run > 0:
                times[name].append(taken)
    report = {name: summary(values) for name, values in times.items()}
    bare = report["bare product"]["median"]
    return {
        "fill_seconds": round(filling, 1),
        "megabytes_on_disk": round(store.info().bytes_on_disk / 1e6),
        "open_and_first_search_seconds": round(first, 2),
        "megabytes_of_memory_for_vectors": round((loaded - before) * 1024 / 1e6),
        "milliseconds": report,
        "times_the_bare_product": {name: round(report[name]["median"] / bare, 1) for name in ways},
    }


def indexing(folder: Path, files: int) -> dict[str, object]:
    from r2ag.encoder import FeatureEncoder
    from r2ag.models import DEFAULT_RETRIEVER

    notes, generator = folder / "notes", np.random.default_rng(1)
    notes.mkdir()
    texts = random_texts(files, generator)
    for number, text in enumerate(texts):
        (notes / f"{number}.txt").write_text(text, encoding="utf-8")
    encoder = FeatureEncoder.from_pretrained(DEFAULT_RETRIEVER)
    store = Store.create(folder / "indexed", encoder)
    encoder.encode_documents([Document("warm")])
    taken = seconds(lambda: index_files(store, [notes], encoder))
    with store.snapshot() as snapshot:
        passages = snapshot.documents([hit.id for hit in snapshot.nearest(store.encoder.vectors[0], 10**6)])
    bare = seconds(lambda: encoder.encode_documents(passages))
    again = seconds(lambda: index_files(store, [notes], encoder))
    return {
        "passages": len(passages),
        "passages_a_second": {"index_files": round(len(passages) / taken, 1), "bare": round(len(passages) / bare, 1)},
        "times_the_bare_encoding": round(taken / bare, 2),
        "seconds_when_nothing_changed": round(again, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("documents", 100_000), ("dimension", 384), ("runs", 15), ("files", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--folder", type=Path, help="where the store is made for a while; the temporary folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        report: dict[str, object] = {"documents": options.documents, "dimension": options.dimension}
        report |= searching(Path(name) / "store", options)
        if options.files:
            report["indexing"] = indexing(Path(name), options.files)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
