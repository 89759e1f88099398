"""From record files and method names to results (`r2ag eval`)."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from r2ag.encoder.encoder import rank_by_similarity
from r2ag.errors import InputError
from r2ag.evaluation.methods import Method, Prediction, create_method, parse_methods
from r2ag.evaluation.stored import Evaluation, PredictionFile, digest_of, write_stored
from r2ag.io.atomic import write_whole
from r2ag.types import Progress, RankedList, Record

if TYPE_CHECKING:
    from r2ag.answering.reader import Reader
    from r2ag.encoder.encoder import FeatureEncoder

ASSESSED_AT_ONCE = 64

Order = Literal["encoder", "shuffled", "given"] | Callable[[RankedList], RankedList]
"""By the encoder's similarity; the same shuffled; as the records have it (some data sets put the gold document first);
or by a ranking of one's own."""


def arrange(ranked: RankedList, order: Order, k: int | None = None, seed: int = 0) -> RankedList:
    """The list in its order, cut to its first `k`; shuffling comes after the cut, so that the best k stay.

    Raises:
        InputError: the order is unknown, or k is less than 1.
    """
    if k is not None and k < 1:
        raise InputError(f"k is {k}; give a number of documents from 1.")
    if not callable(order) and order not in ("encoder", "shuffled", "given"):
        raise InputError(f"There is no order {order!r}; choose encoder, shuffled or given.")
    if callable(order):
        ranked = order(ranked)
    elif order != "given":
        ranked = rank_by_similarity(ranked)
    kept = list(range(len(ranked)))[:k]
    if order == "shuffled":
        # The seed and the question decide, so that a record is shuffled alike whatever it is evaluated with.
        random.Random(f"{seed}:{ranked.question}").shuffle(kept)
    return ranked.reordered(kept)


def evaluate(
    records: Sequence[Record],
    lists: Sequence[RankedList],
    methods: Sequence[Method],
    *,
    reader: Reader | None = None,
    k: int | None = None,
    order: Order = "encoder",
    seed: int = 0,
    output: Path | None = None,
    batch_size: int = 1,
    progress: Progress | None = None,
    models: Mapping[str, str] | None = None,
) -> Evaluation:
    """Runs the methods one after another on the same lists.

    Args:
        lists: each record's documents with their vectors, in any order.
        reader: the one whose relevance head is measured too.
        k: documents of each ranked list to take; None takes all.
        output: a folder for the predictions; those of an earlier run with equal settings are taken from there.
        batch_size: lists read at once, of similar length each time.
    """
    arranged = [arrange(ranked, order, k, seed) for ranked in lists]
    probabilities = None if reader is None else relevance_probabilities(reader, arranged)
    predictions = {
        method.name: tuple(_answer_all(method, records, arranged, output, batch_size, progress)) for method in methods
    }
    return Evaluation(tuple(records), tuple(arranged), predictions, probabilities, k, dict(models or {}))


def relevance_probabilities(reader: Reader, lists: Sequence[RankedList]) -> tuple[tuple[float, ...], ...] | None:
    """How probably each document of each list is relevant, by the adapter's head; None where it has no head."""
    if reader.adapter.config.method != "r2ag":
        return None
    return tuple(
        tuple(float(probability) for probability in row)
        for start in range(0, len(lists), ASSESSED_AT_ONCE)
        for row in reader.assess(lists[start : start + ASSESSED_AT_ONCE]).probabilities
    )


def run_evaluation(
    data: Sequence[Path],
    methods: Sequence[str],
    reader: Reader,
    encoder: FeatureEncoder,
    *,
    k: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    order: Order = "encoder",
    output: Path | None = None,
    max_new_tokens: int = 32,
    vector_cache: Path | None = None,
    batch_size: int = 1,
    progress: Progress | None = None,
    all_pairs: bool = False,
) -> dict[str, Any]:
    """Evaluates methods on record files; the results also stand in `output`/results.json and results.md, and what was
    read in records.jsonl.

    Args:
        methods: specifications NAME[:ARGUMENT][=ADAPTER_FOLDER]; the first is the one that others are compared with.
        limit: records of each file, drawn by the seed.
        all_pairs: compare every two methods.

    Raises:
        InputError: a file, a method or a number can't be used.
    """
    from r2ag.evaluation.methods.bench import Bench
    from r2ag.evaluation.report import results
    from r2ag.evaluation.table import markdown
    from r2ag.records import read_files
    from r2ag.records.split import sample
    from r2ag.records.vectors import describe_records

    specs = parse_methods(methods)
    if limit is not None and limit < 1:
        raise InputError(f"The limit is {limit}; give a number of records from 1.")
    files = [sample(records, limit, seed) for records in read_files(data)]
    if not files:
        raise InputError("No file of records is named; give at least one.")
    bench = Bench(reader, encoder, max_new_tokens, seed)
    prepared = [create_method(spec, bench) for spec in specs]
    lists = [ranked for file in files for ranked in describe_records(encoder, file, vector_cache)]
    records = [record for file in files for record in file]
    evaluation = evaluate(
        records,
        lists,
        prepared,
        reader=reader,
        k=k,
        order=order,
        seed=seed,
        output=output,
        batch_size=batch_size,
        progress=progress,
        models=_models(reader, encoder),
    )
    found = results(evaluation, all_pairs=all_pairs)
    found["settings"] = {
        "data": [path.name for path in data],
        "limit": limit,
        "seed": seed,
        "order": order if isinstance(order, str) else "custom",
        "max_new_tokens": max_new_tokens,
        "methods": [str(spec) for spec in specs],
    }
    if output is not None:
        write_stored(output, evaluation, prepared, reader)
        write_whole(output / "results.json", json.dumps(found, ensure_ascii=False, indent=2) + "\n")
        write_whole(output / "results.md", markdown(found))
    return found


def _answer_all(
    method: Method,
    records: Sequence[Record],
    lists: Sequence[RankedList],
    output: Path | None,
    batch_size: int,
    progress: Progress | None,
) -> list[Prediction]:
    digests = [digest_of(method.settings, ranked) for ranked in lists]
    file = None if output is None else PredictionFile(output, method.name)
    done = {} if file is None else file.read()
    missing = [row for row, digest in enumerate(digests) if digest not in done]
    answered = len(lists) - len(missing)
    for batch in _batches(missing, lists, batch_size):
        for row, prediction in zip(batch, method.answer([lists[row] for row in batch]), strict=True):
            done[digests[row]] = prediction
            if file is not None:
                file.append(records[row], digests[row], prediction)
        answered += len(batch)
        if progress is not None:
            progress(method.name, answered, len(lists))
    return [done[digest] for digest in digests]


def _batches(rows: Sequence[int], lists: Sequence[RankedList], size: int) -> list[list[int]]:
    """Rows in batches; those of one batch are of similar length, since padding costs what text costs."""
    if size < 1:
        raise InputError(f"The batch size is {size}; give a number from 1.")
    lengths = {row: sum(len(document.passage) for document in lists[row].documents) for row in rows}
    ordered = list(rows) if size == 1 else sorted(rows, key=lengths.__getitem__)
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def _models(reader: Reader, encoder: FeatureEncoder) -> dict[str, str]:
    adapter = reader.adapter
    return {
        "llm": adapter.config.llm.name,
        "dtype": str(reader.model.llm.dtype).removeprefix("torch."),
        "retriever": encoder.name,
        "adapter": "" if adapter.folder is None else adapter.folder.name,
    }
