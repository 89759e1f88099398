"""`r2ag eval`: methods compared on records, paired by record."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from r2ag.cli.folders import check_files, check_folder
from r2ag.cli.options import (
    AdapterName,
    AsJson,
    Limit,
    ListsAtOnce,
    Llm,
    MaxNewTokens,
    MoreFiles,
    RecordFiles,
    Retriever,
    Seed,
)
from r2ag.cli.output import libraries_to_stderr, note, print_json, print_markdown
from r2ag.cli.requirements import need_evaluation

if TYPE_CHECKING:
    from r2ag.pipeline import Pipeline


class Order(StrEnum):
    """Of the documents in the prompt."""

    encoder = "encoder"
    shuffled = "shuffled"
    given = "given"


def evaluate(
    data: RecordFiles,
    more: MoreFiles = None,
    methods: Annotated[
        str,
        typer.Option(
            metavar="NAME,…",
            help=(
                "Of rag, rag-topn, cot, cutoff:T, rerank:N=MODEL, recomp, longllmlingua, crag, self-rag=MODEL, "
                "self-rag-prompted, learned-tokens, xrag, r2ag, r2ag-permuted, r2ag-gold, r2ag+prune, r2ag+top:N, "
                "r2ag+abstain, r2ag-words, raft, r2ag+raft; NAME=FOLDER takes another adapter. Each is compared with "
                "the first."
            ),
        ),
    ] = "rag,r2ag",
    k: Annotated[
        int | None, typer.Option("--k", min=1, help="Take the K nearest documents of each record.", show_default="all")
    ] = None,
    limit: Limit = None,
    seed: Seed = 0,
    order: Annotated[
        Order, typer.Option(help="Of the documents: by the encoder, that shuffled, or as the records give it.")
    ] = Order.encoder,
    llm: Llm = None,
    retriever: Retriever = None,
    adapter: AdapterName = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Keep answers and figures there; a run that was stopped continues from them.",
            show_default="nowhere",
        ),
    ] = None,
    max_new_tokens: MaxNewTokens = 32,
    batch_size: ListsAtOnce = 1,
    all_pairs: Annotated[bool, typer.Option("--all-pairs", help="Compare every two methods.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare methods of answering on records, with 95 % intervals.

    Acc is 1 where a gold answer stands in the prediction. All methods read the same lists and have the same limit of
    new tokens.
    """
    from r2ag.evaluation.methods import parse_methods

    need_evaluation()
    names = [name for name in methods.split(",") if name.strip()]
    parse_methods(names)
    files = [*data, *(more or [])]
    check_files(files, "--data")
    if output is not None:
        check_folder(output)
    with libraries_to_stderr() as stdout:
        note("Loading the models …")
        from r2ag.pipeline import Pipeline

        pipeline = Pipeline.from_pretrained(adapter, llm, retriever)
        pipeline.check_k(k)
        options: dict[str, Any] = {
            "k": k,
            "seed": seed,
            "order": order.value,
            "output": output,
            "max_new_tokens": max_new_tokens,
            "batch_size": batch_size,
        }
        found = _run(files, names, limit, all_pairs, pipeline, options)
        _print_results(found, as_json, stdout)


def _run(
    files: Sequence[Path],
    methods: Sequence[str],
    limit: int | None,
    all_pairs: bool,
    pipeline: Pipeline,
    options: dict[str, Any],
) -> dict[str, Any]:
    from r2ag.cli.progress import MethodProgress
    from r2ag.evaluation.run import run_evaluation

    output = options["output"]
    with MethodProgress() as progress:
        return run_evaluation(
            files,
            methods,
            pipeline.reader,
            pipeline.encoder,
            limit=limit,
            all_pairs=all_pairs,
            vector_cache=None if output is None else output / "vectors",
            progress=progress,
            **options,
        )


def _print_results(found: dict[str, Any], as_json: bool, stdout: TextIO) -> None:
    from r2ag.evaluation.table import markdown

    if as_json:
        print_json(found, stdout)
    else:
        print_markdown(markdown(found), stdout)
