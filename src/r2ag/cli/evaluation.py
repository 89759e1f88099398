"""`r2ag choose`, `eval` and `report`: what is measured on records."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TextIO

from typer import Argument, Option

from r2ag.cli import options
from r2ag.cli.checks import check_files, check_folder, check_output, need, writing
from r2ag.cli.opening import Models
from r2ag.cli.output import Facts, libraries_to_stderr, print_facts, print_json, print_markdown
from r2ag.errors import InputError

if TYPE_CHECKING:
    from r2ag.evaluation.attention import AttentionMap
    from r2ag.evaluation.choose import Choice, Score
    from r2ag.evaluation.stored import Results
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
        from r2ag.cli.progress import ProgressBar
        from r2ag.evaluation.choose import choose as choose_on
        from r2ag.method.templates import PLAIN_FAMILIES
        from r2ag.records.vectors import describe_records

        records = _drawn(files, limit, seed) if whole else held_back_records(files, adapter, limit, seed)
        pipeline = Models(adapter, None, None).load()
        lists = describe_records(pipeline.encoder, records, None if answers is None else answers / "vectors")
        with ProgressBar("records") as progress:
            choice = choose_on(
                records,
                lists,
                pipeline.reader,
                pipeline.encoder,
                families=families.split(",") if families else tuple(PLAIN_FAMILIES),
                seed=seed,
                output=answers,
                max_new_tokens=max_new_tokens,
                batch_size=batch_size,
                progress=progress,
            )
        chosen = pipeline.reader.adapter
        chosen.config = choice.applied(chosen.config)
        chosen.save_pretrained(folder)
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


def _drawn(files: list[Path], limit: int | None, seed: int) -> list[Record]:
    from r2ag.records import read_files
    from r2ag.records.split import sample

    return [record for records in read_files(files) for record in sample(records, limit, seed)]


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


def report(
    folder: Annotated[Path, Argument(metavar="DIR", show_default=False)],
    output: Annotated[Path | None, Option(metavar="FILE", show_default="DIR/report.html")] = None,
    title: Annotated[str, Option(show_default="the folder's name")] = "",
    attention: Annotated[str | None, Option(metavar="ID", show_default="none")] = None,
    condition: Annotated[str | None, Option(metavar="ROW", show_default="the first")] = None,
    adapter: options.Adapter = None,
    llm: options.Llm = None,
    retriever: options.Retriever = None,
) -> None:
    """Write one HTML page from a folder of results: tables with intervals, plots, and every single record.

    The page needs no network and loads nothing; the texts of documents and answers are shown as plain text.

    Args:
        folder: What r2ag eval or r2ag study wrote to --output.
        output: The page.
        title: The title of the page.
        attention: Also show where the LLM looks in this record; loads the models.
        condition: Of a study: the row whose records are shown.

    Examples:
        r2ag report figures
        r2ag report figures --output page.html --attention 5a8b57f25542995d1e6f1371
    """
    need("report")
    file = output or folder / "report.html"
    if file.is_dir():
        raise InputError(f"{file} is a folder; name a file for --output.")
    with libraries_to_stderr() as stdout:
        from r2ag.evaluation.page import render
        from r2ag.evaluation.stored import read_results
        from r2ag.io.atomic import write_whole

        results = read_results(folder, condition)
        name = title or folder.resolve().name
        page = render(results, name, _attention(results, attention, Models(adapter, llm, retriever)))
        with writing(file):
            write_whole(file, page)
        print_facts(stdout, ("records", len(results.records)), ("written", file))


def _attention(results: Results, record_id: str | None, models: Models) -> AttentionMap | None:
    """The attention map of one record, which is read once more; None where no record is named."""
    if record_id is None:
        return None
    found = next((record for record in results.records if record.id == record_id), None)
    if found is None:
        some = ", ".join(record.id for record in results.records[:3])
        raise InputError(f"--attention is {record_id!r}, and no record has this id; they are called {some}, …")
    pipeline = models.load()
    from r2ag.evaluation.attention import attention_map
    from r2ag.types import FEATURES, Document

    name, known = pipeline.reader.adapter.config.llm.name, results.models.get("llm", "").split(", ")
    if name not in known:
        raise InputError(
            f"--attention would show where {name} looks, and these results are of {' and '.join(known)}; name one of "
            "their adapters with --adapter."
        )
    documents = []
    for d in found.documents:
        scores = {name: value for name, value in d.features.items() if name not in FEATURES}
        documents.append(Document(d.text, d.title, relevant=d.relevant, scores=scores))
    ranked = pipeline.encoder.describe(found.question, documents)
    return attention_map(pipeline.reader, ranked, record_id)
