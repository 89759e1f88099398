"""How quick the store searches.

    python benchmarks/store.py [--documents 100000] [--dimension 384] [--runs 15] [--like STORE] [--folder DIR]

Fills a store with random unit vectors and texts of random words (frequencies as in a language); with --like, with
copies of a real store's passages, each vector of a copy moved a little at random. Then prints one JSON object:
processor milliseconds (median and quartiles) of each way of searching, which a busy machine changes little; their
ratios to a bare product of matrix and query; seconds to load the vectors; and memory. The ways take turns within one
process. Questions are random words, or words of passages. Set OMP_NUM_THREADS=1, so that processor time is what one
would wait. What indexing costs: benchmarks/indexing.py.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from turns import by_turns, finish, parser, peak_megabytes, spread, timed

from r2ag.retrieval import BM25Finder, DenseFinder, HybridFinder
from r2ag.store import Store, StoredFile
from r2ag.types import Document

WORDS, WORDS_A_TEXT, PASSAGES_A_FILE, FIELD_VALUES = 30_000, 100, 500, 10
JITTER = 0.1  # a copy's cosine to its original is .995
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


class Jittered:
    """Passages of a real store, again and again, with their vectors moved a little."""

    def __init__(self, folder: Path, encoder: RandomEncoder) -> None:
        self.encoder = encoder
        with Store.open(folder).snapshot() as snapshot:
            ids = snapshot.ids()
            self.documents, self.vectors = snapshot.documents(ids), snapshot.vectors(ids)

    def part(self, start: int, count: int) -> tuple[list[Document], np.ndarray]:
        rows = np.arange(start, start + count) % len(self.documents)
        vectors = self.vectors[rows] + JITTER * self.encoder.draw(count, seed=start)
        return [self.documents[row] for row in rows], vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class Random:
    """Texts and vectors that mean nothing."""

    def __init__(self, encoder: RandomEncoder) -> None:
        self.encoder, self.generator = encoder, np.random.default_rng(0)

    def part(self, start: int, count: int) -> tuple[list[Document], np.ndarray]:
        documents = [Document(text) for text in random_texts(count, self.generator)]
        return documents, self.encoder.draw(count, seed=start)


def fill(folder: Path, source: Random | Jittered, count: int) -> Store:
    store = Store.create(folder, source.encoder)
    with store.writing() as writer:
        for start in range(0, count, PASSAGES_A_FILE):
            documents, vectors = source.part(start, min(PASSAGES_A_FILE, count - start))
            number = start // PASSAGES_A_FILE
            file = StoredFile(f"{number}.txt", "digest", 1, 0.0, {"part": number % FIELD_VALUES})
            with writer.batch():
                writer.put(file, documents, vectors)
    return store


def question_of(source: Random | Jittered) -> str:
    """Five words: a frequent one and rarer ones, or some of a passage."""
    if isinstance(source, Random):
        return "w7 w40 w900 w12000 w3"
    return " ".join(source.documents[0].text.split()[:5])


def searching(folder: Path, options: argparse.Namespace) -> dict[str, object]:
    encoder = RandomEncoder(options.dimension)
    source = Jittered(options.like, encoder) if options.like else Random(encoder)
    filling, _ = timed(lambda: fill(folder, source, options.documents))
    before = peak_megabytes()
    store = Store.open(folder)
    dense, bm25, hybrid = DenseFinder(store, encoder), BM25Finder(store), HybridFinder(store, encoder)
    question, few = question_of(source), FEW
    first, _ = timed(lambda: dense.find(question, 10))
    loaded = peak_megabytes()
    matrix, query = encoder.draw(options.documents, 1), encoder.draw(1, 2)[0]
    ways: dict[str, Callable[[], object]] = {
        "bare product": lambda: matrix @ query,
        "dense": lambda: dense.find(question, 10),
        "dense, a fifth passes --where": lambda: dense.find(question, 10, few),
        "bm25": lambda: bm25.find(question, 10),
        "bm25, a fifth passes --where": lambda: bm25.find(question, 10, few),
        "hybrid": lambda: hybrid.find(question, 10),
    }
    times = by_turns(ways, options.runs, time.process_time)
    report = {name: spread([1000 * taken for taken in values]) for name, values in times.items()}
    bare = report["bare product"]["median"]
    return {
        "fill_seconds": round(filling, 1),
        "megabytes_on_disk": round(store.info().bytes_on_disk / 1e6),
        "open_and_first_search_seconds": round(first, 2),
        "megabytes_of_memory_for_vectors": round(loaded - before),
        "milliseconds": report,
        "times_the_bare_product": {name: round(report[name]["median"] / bare, 1) for name in ways},
    }


def main() -> None:
    arguments = parser(__doc__, documents=100_000, dimension=384, runs=15)
    arguments.add_argument("--like", type=Path, metavar="STORE", help="a store of real passages with so long vectors")
    arguments.add_argument("--folder", type=Path, help="where the store is made for a while; the temporary folder")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        finish("store", searching(Path(name) / "store", options), options)


if __name__ == "__main__":
    main()
