"""A store of a million passages: what it takes to fill, open and search, and how much of exact search it finds.

    python benchmarks/million.py --data nq-20-test.jsonl.gz hotpotqa-test.jsonl.gz … --vectors runs/vectors

The vectors are jittered copies of the records' real passages (`--jitter .5`: a copy's cosine to its passage is about
.89), the questions are the records' own, and the texts are short, since nothing here reads them. Filling and searching
run in processes of their own, so that their memory is their own; then the store's search and an exact product of the
same vectors take turns. Recall is of the ten nearest, against exact search. Times are processor time on one thread
(OMP_NUM_THREADS=1), which a busy machine changes little.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from turns import finish, parser, peak_megabytes, spread, timed

from r2ag.encoder.probe import Probe
from r2ag.store import Store, StoredFile
from r2ag.store.database import connect, connect_to_write, create_tables, read_meta
from r2ag.store.vectors import Matrix, current_matrix
from r2ag.types import Document

BLOCK, K, PARTS = 1000, 10, 10


@dataclass(frozen=True)
class Million:
    """How the vectors are made: real ones (n, dimension), copied with noise of this length until there are `count`."""

    real: np.ndarray
    jitter: float
    count: int

    def blocks(self) -> Iterator[np.ndarray]:
        """BLOCK unit vectors at a time; the same each time."""
        generator, (size, dimension) = np.random.default_rng(0), self.real.shape
        for start in range(0, self.count, BLOCK):
            rows = np.arange(start, min(start + BLOCK, self.count)) % size
            noise = generator.standard_normal((len(rows), dimension), dtype=np.float32) / dimension**0.5
            copies = self.real[rows] + self.jitter * noise
            yield copies / np.linalg.norm(copies, axis=1, keepdims=True)


def real_vectors(files: list[Path], cache: Path) -> tuple[np.ndarray, np.ndarray]:
    """Passages' and questions' vectors, by the default adapter's encoder."""
    from r2ag.adapter.adapter import Adapter
    from r2ag.adapter.loading import PRETRAINED, load_encoder
    from r2ag.records import read_records
    from r2ag.records.vectors import describe_records

    encoder = load_encoder(Adapter.from_pretrained(PRETRAINED))
    lists = describe_records(encoder, [record for file in files for record in read_records(file)], cache, progress=True)
    documents = np.unique(np.concatenate([ranked.document_vectors for ranked in lists]), axis=0)
    return documents, np.unique(np.stack([ranked.query_vector for ranked in lists]), axis=0)


def fill(folder: Path, million: Million) -> dict[str, float]:
    """Processor seconds to store them all, without encoding, and what that adds to the process's peak."""
    before = peak_megabytes()
    folder.mkdir()
    connection = connect_to_write(folder)
    create_tables(connection, Probe("copies of real vectors", million.real[:4]))
    connection.close()

    def put_all() -> None:
        with Store.open(folder).writing() as writer:
            for number, vectors in enumerate(million.blocks()):
                documents = [Document(f"copy {number} {row}") for row in range(len(vectors))]
                with writer.batch():
                    writer.put(StoredFile(str(number), "digest", 1, 0.0, {"part": number % PARTS}), documents, vectors)

    seconds, _ = timed(put_all)
    return {"fill_seconds": round(seconds, 1), "fill_megabytes": round(peak_megabytes() - before)}


def exact(million: Million, queries: np.ndarray) -> list[set[int]]:
    """Ids of the K nearest of each query; ids count from 1 in the order of storing."""
    best, ids = np.full((len(queries), K), -np.inf, np.float32), np.zeros((len(queries), K), np.int64)
    for number, vectors in enumerate(million.blocks()):
        scores = np.concatenate([best, queries @ vectors.T], axis=1)
        new = np.arange(len(vectors)) + number * BLOCK + 1
        known = np.concatenate([ids, np.broadcast_to(new, (len(queries), len(new)))], axis=1)
        order = np.argpartition(-scores, K - 1, axis=1)[:, :K]
        best, ids = np.take_along_axis(scores, order, 1), np.take_along_axis(known, order, 1)
    return [set(row.tolist()) for row in ids]


def searching(folder: Path, queries: np.ndarray, truth: list[set[int]], compare: bool) -> dict[str, object]:
    """Opens the store as a new process would, and asks it each query."""

    def ask(store: Store, query: np.ndarray, where: str | None = None) -> set[int]:
        with store.snapshot() as snapshot:
            return {hit.id for hit in snapshot.nearest(query, K, where)}

    before, store = peak_megabytes(), Store.open(folder)
    first, _ = timed(lambda: ask(store, queries[0]))
    rounds = [timed(lambda query=query: ask(store, query)) for query in queries]
    recall = np.mean([len(found & true) / K for (_, found), true in zip(rounds, truth, strict=True)])
    result: dict[str, object] = {"first_search_ms": round(1000 * first), "megabytes": round(peak_megabytes() - before)}
    if not compare:
        return result
    where = [1000 * timed(lambda query=query: ask(store, query, "part = 1"))[0] for query in queries[:5]]
    result |= {
        "recall_at_10": round(float(recall), 4),
        "milliseconds": spread([1000 * taken for taken, _ in rounds]),
        "milliseconds_where_a_tenth_passes": spread(where),
    }
    connection = connect(folder)
    dimension, generation = queries.shape[1], read_meta(connection, folder).generation
    matrix = current_matrix(connection, Matrix.empty(dimension), generation, folder)
    ratios = [
        timed(lambda query=query: ask(store, query))[0] / timed(lambda query=query: matrix.nearest(query, K))[0]
        for query in queries[:15]
    ]
    result["megabytes_of_the_exact_matrix"] = round(matrix.vectors.nbytes / 1e6)
    result["times_of_exact_search"] = spread(ratios, digits=3)
    return result


def main() -> None:
    """Fills a temporary store, then searches it in processes of their own."""
    arguments = parser(__doc__, passages=1_000_000, questions=100)
    arguments.add_argument("--data", type=Path, nargs="+", required=True)
    arguments.add_argument("--vectors", type=Path, help="a folder that keeps vectors for later runs")
    arguments.add_argument("--jitter", type=float, default=0.5)
    arguments.add_argument("--folder", type=Path, help="where the store is made for a while; the temporary folder")
    options = arguments.parse_args()
    real, queries = real_vectors(options.data, options.vectors)
    queries = np.random.default_rng(0).permutation(queries)[: options.questions]
    million = Million(real, options.jitter, options.passages)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name) / "store"
        result: dict[str, object] = {"passages": million.count, "real": len(real), "jitter": million.jitter}
        with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
            result |= pool.apply(fill, (folder, million))
            print("filled", file=sys.stderr, flush=True)
            truth = exact(million, queries)
            for name, compare in (("first process", False), ("later process", True)):
                result[name] = pool.apply(searching, (folder, queries, truth, compare))
    finish("million", result, options)


if __name__ == "__main__":
    main()
