"""`r2ag report`: one HTML page from a folder of results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from r2ag.cli import options
from r2ag.cli.checks import need, writing
from r2ag.cli.opening import Models
from r2ag.cli.output import libraries_to_stderr, print_facts
from r2ag.errors import InputError

if TYPE_CHECKING:
    from r2ag.evaluation.attention import AttentionMap
    from r2ag.evaluation.stored import Results


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
