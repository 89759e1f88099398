"""`r2ag report`: one HTML page from a folder of results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from r2ag.cli.options import AdapterName, Llm, Retriever
from r2ag.cli.output import libraries_to_stderr, note, print_facts
from r2ag.cli.requirements import need_evaluation
from r2ag.errors import InputError

if TYPE_CHECKING:
    from r2ag.evaluation.attention import AttentionMap
    from r2ag.evaluation.page import Results
    from r2ag.evaluation.page.study import StudyResults


def report(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="What r2ag eval or r2ag study wrote to --output.", show_default=False)
    ],
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The page.", show_default="DIR/report.html")
    ] = None,
    title: Annotated[str, typer.Option(help="What the page is called.", show_default="the folder's name")] = "",
    attention: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="Also show where the LLM looks in this record; loads the models.", show_default="none"
        ),
    ] = None,
    condition: Annotated[
        str | None,
        typer.Option(metavar="ROW", help="Of a study: the one whose records are shown.", show_default="the first"),
    ] = None,
    adapter: AdapterName = None,
    llm: Llm = None,
    retriever: Retriever = None,
) -> None:
    """Write one HTML page from a folder of results: tables with intervals, plots, and every single record.

    The page needs no network and loads nothing; all that stands in documents and answers is shown as text.
    """
    need_evaluation()
    file = output or folder / "report.html"
    if file.is_dir():
        raise InputError(f"{file} is a folder; name a file for --output.")
    with libraries_to_stderr() as stdout:
        from r2ag.evaluation.page import read_results, render
        from r2ag.evaluation.page.study import is_study, read_study, render_study
        from r2ag.io.atomic import write_whole

        name = title or folder.resolve().name
        results: Results | StudyResults
        if is_study(folder):
            results = read_study(folder, condition)
            page = render_study(results, name, _attention(results, attention, adapter, llm, retriever))
        elif condition is not None:
            raise InputError(f"--condition is of studies, and {folder} holds no study; leave it out.")
        else:
            results = read_results(folder)
            page = render(results, name, _attention(results, attention, adapter, llm, retriever))
        try:
            write_whole(file, page)
        except OSError as error:
            raise InputError(f"{file} can't be written ({error.strerror}); name another file for --output.") from None
        print_facts([("records", len(results.records)), ("written", file)], stdout)


def _attention(
    results: Results | StudyResults, record_id: str | None, adapter: str | None, llm: str | None, retriever: str | None
) -> AttentionMap | None:
    if record_id is None:
        return None
    found = next((record for record in results.records if record.id == record_id), None)
    if found is None:
        some = ", ".join(record.id for record in results.records[:3])
        raise InputError(f"--attention is {record_id!r}, and no record has this id; they are called {some}, …")
    note("Loading the models …")
    from r2ag.evaluation.attention import attention_map
    from r2ag.pipeline import Pipeline
    from r2ag.types import FEATURES, Document

    pipeline = Pipeline.from_pretrained(adapter, llm, retriever)
    name, known = pipeline.reader.adapter.config.llm.name, results.models.get("llm", "").split(", ")
    if name not in known:
        raise InputError(
            f"--attention would show where {name} looks, and these results are of {' and '.join(known)}; name one of "
            "their adapters with --adapter."
        )
    documents = [
        Document(
            d.text,
            d.title,
            relevant=d.relevant,
            scores={name: value for name, value in d.features.items() if name not in FEATURES},
        )
        for d in found.documents
    ]
    ranked = pipeline.encoder.describe(found.question, documents)
    return attention_map(pipeline.reader, ranked, record_id)
