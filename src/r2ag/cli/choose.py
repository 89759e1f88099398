"""`r2ag choose`: plain RAG's prompt and number of documents, and the pruning threshold, from held-back records."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

from typer import Option

from r2ag.cli import options
from r2ag.cli.checks import check_files, check_folder, check_output
from r2ag.cli.opening import Models
from r2ag.cli.output import Facts, libraries_to_stderr, print_facts

if TYPE_CHECKING:
    from r2ag.evaluation.choose import Choice, Score
    from r2ag.types import Record


def choose(
    data: Annotated[list[Path], Option(metavar="FILE…", show_default=False)],
    adapter: options.GivenAdapter,
    output: Annotated[Path, Option(metavar="DIR", show_default=False)],
    more: options.MoreFiles = None,
    families: Annotated[str, Option(metavar="NAME,…", show_default="all")] = "",
    whole: Annotated[bool, Option("--whole")] = False,
    limit: options.Limit = None,
    seed: options.Seed = 0,
    answers: Annotated[Path | None, Option(metavar="DIR", show_default="nowhere")] = None,
    max_new_tokens: options.MaxNewTokens = 32,
    batch_size: options.BatchSize = 1,
) -> None:
    """Choose plain RAG's best prompt and number of documents for an adapter's LLM, and the adapter's pruning threshold.

    From each file come the records that r2ag train and train-encoder hold back, at most --limit of them. Evaluation
    compares R²AG with the strongest plain RAG found here, so no test may use these records. Each choice has the highest
    Acc; of equals, the highest F1.

    Args:
        data: The files that the adapter was trained on.
        output: Where the adapter with the choices is written.
        families: The prompt families to try.
        whole: Take all records of files that no training saw, not the held-back part.
        answers: Keep all answers there; a stopped run continues.

    Examples:
        r2ag choose --data nq.jsonl.gz hotpotqa.jsonl.gz --limit 30 --adapter my-adapter --output chosen
        r2ag choose --data development.jsonl --whole --adapter my-adapter --output chosen
    """
    files = [*data, *(more or [])]
    check_files(files, "--data")
    folder = check_output(output, "model.safetensors")
    if answers is not None:
        check_folder(answers, "--answers")
    with libraries_to_stderr() as stdout:
        given: dict[str, Any] = {"output": answers, "max_new_tokens": max_new_tokens, "batch_size": batch_size}
        if families:
            given["families"] = tuple(families.split(","))
        records = _records(files, limit, seed) if whole else held_back_records(files, adapter, limit, seed)
        choice = _choose(records, adapter, folder, seed, given)
        _print(choice, folder, stdout)


def held_back_records(files: list[Path], adapter: str, limit: int | None, seed: int) -> list[Record]:
    """At most `limit` of each file, of those that the adapter's own training held back."""
    from r2ag.adapter.adapter import Adapter
    from r2ag.records import read_files, split_records
    from r2ag.records.split import sample

    settings = Adapter.from_pretrained(adapter).config.training.get("settings", {})
    how = {name: settings[name] for name in ("held_back", "seed") if name in settings}
    splits = (split_records(records, **how) for records in read_files(files))
    return [record for split in splits for record in sample(split.stopping + split.threshold, limit, seed)]


def _records(files: list[Path], limit: int | None, seed: int) -> list[Record]:
    from r2ag.records import read_files
    from r2ag.records.split import sample

    return [record for records in read_files(files) for record in sample(records, limit, seed)]


def _choose(records: list[Record], adapter: str, folder: Path, seed: int, given: dict[str, Any]) -> Choice:
    from r2ag.cli.progress import ProgressBar
    from r2ag.evaluation.choose import choose as choose_on
    from r2ag.records.vectors import describe_records

    pipeline = Models(adapter, None, None).load()
    cache = None if given["output"] is None else given["output"] / "vectors"
    lists = describe_records(pipeline.encoder, records, cache)
    with ProgressBar("records") as progress:
        choice = choose_on(records, lists, pipeline.reader, pipeline.encoder, seed=seed, progress=progress, **given)
    chosen = pipeline.reader.adapter
    chosen.config = choice.applied(chosen.config)
    chosen.save_pretrained(folder)
    return choice


def _print(choice: Choice, folder: Path, stdout: TextIO) -> None:
    print(f"Acc and F1 on {choice.records} records: plain RAG with each prompt on the whole list", file=stdout)
    print_facts(stdout, *_marked(choice.family_scores, choice.family))
    print(f"\nwith {choice.family} on the top n documents", file=stdout)
    print_facts(stdout, *_marked(choice.top_n_scores, choice.top_n))
    if choice.prune_scores:
        print("\nR²AG that reads what has at least this probability", file=stdout)
        print_facts(stdout, *_marked(choice.prune_scores, choice.prune_threshold))
    print(f"\nwritten: {folder}", file=stdout)


def _marked(scores: Mapping[Any, Score], best: object) -> Facts:
    return [
        (str(tried), f"{one.acc:.3f}  {one.f1:.3f}{'  best' if tried == best else ''}") for tried, one in scores.items()
    ]
