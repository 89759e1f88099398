"""`r2ag eval`: methods compared on records, paired by record."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from typer import Option

from r2ag.cli import options
from r2ag.cli.checks import check_files, check_folder, need
from r2ag.cli.opening import Models
from r2ag.cli.output import libraries_to_stderr, print_json, print_markdown


def evaluate(
    data: options.RecordFiles,
    more: options.MoreFiles = None,
    methods: Annotated[str, Option(metavar="NAME,…")] = "rag,r2ag",
    k: Annotated[int | None, Option(min=1, show_default="all")] = None,
    limit: options.Limit = None,
    seed: options.Seed = 0,
    order: Literal["encoder", "shuffled", "given"] = "encoder",
    llm: options.Llm = None,
    retriever: options.Retriever = None,
    adapter: options.Adapter = None,
    output: Annotated[Path | None, Option(metavar="DIR", show_default="nowhere")] = None,
    max_new_tokens: options.MaxNewTokens = 32,
    batch_size: options.BatchSize = 1,
    all_pairs: Annotated[bool, Option("--all-pairs")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Compare methods of answering on records, with 95 % intervals.

    Acc is 1 where the prediction contains a gold answer. All methods read the same lists and have the same limit of
    new tokens.

    Args:
        methods: The methods: rag, rag-topn, cot, cutoff:T, rerank:N=MODEL, recomp, longllmlingua, crag, self-rag=MODEL,
            self-rag-prompted, learned-tokens, xrag, r2ag, r2ag-permuted, r2ag-gold, r2ag+prune, r2ag+top:N,
            r2ag+abstain, r2ag-words, raft, r2ag+raft; NAME=FOLDER takes another adapter. Each is compared with the
            first.
        k: Take the K nearest documents of each record.
        order: Order of the documents: by the encoder, the same shuffled, or as in the records.
        output: Keep answers and figures there; a run that was stopped continues from them.
        all_pairs: Compare every two methods.

    Examples:
        r2ag eval --data nq-test.jsonl.gz --methods rag,r2ag --limit 200
        r2ag eval --data nq-test.jsonl.gz --methods rag-topn,r2ag,r2ag+prune --output figures
    """
    from r2ag.evaluation.methods import parse_methods

    need("eval")
    names = [name for name in methods.split(",") if name.strip()]
    parse_methods(names)
    files = [*data, *(more or [])]
    check_files(files, "--data")
    if output is not None:
        check_folder(output)
    with libraries_to_stderr() as stdout:
        pipeline = Models(adapter, llm, retriever).load()
        pipeline.check_k(k)
        from r2ag.cli.progress import ProgressBar
        from r2ag.evaluation.run import run_evaluation
        from r2ag.evaluation.table import markdown

        with ProgressBar("records") as progress:
            found = run_evaluation(
                files,
                names,
                pipeline.reader,
                pipeline.encoder,
                k=k,
                limit=limit,
                seed=seed,
                order=order,
                output=output,
                max_new_tokens=max_new_tokens,
                vector_cache=None if output is None else output / "vectors",
                batch_size=batch_size,
                progress=progress,
                all_pairs=all_pairs,
            )
        if as_json:
            print_json(found, stdout)
        else:
            print_markdown(markdown(found), stdout)
