"""`r2ag ask`: an answer, what it cites, and why each document was read; without a question, a conversation."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Annotated, TextIO

import typer

from r2ag.cli.answers import AnswerPrinter, Asking, print_citations, print_plain
from r2ag.cli.documents import print_documents
from r2ag.cli.engine import Engine, EngineName, EngineUrl, check_engine
from r2ag.cli.options import (
    AdapterName,
    AsJson,
    EmbeddingsUrl,
    EncoderName,
    Llm,
    MaxNewTokens,
    MorePaths,
    Retriever,
    StoreInstead,
    Threshold,
)
from r2ag.cli.output import libraries_to_stderr, note, print_json
from r2ag.cli.search import FinderChoice, FinderName, Reranker, StoreSearch
from r2ag.cli.settings import is_typed
from r2ag.cli.source import open_source
from r2ag.errors import InputError
from r2ag.io.as_dict import answer_fields


def ask(
    context: typer.Context,
    question: Annotated[
        str | None,
        typer.Argument(metavar="QUESTION", help="In quotes; without one, ask as many as you like.", show_default=False),
    ] = None,
    docs: Annotated[
        list[Path] | None,
        typer.Option(
            "--docs",
            metavar="PATH…",
            help="Text, Markdown, HTML, PDF and Word files, folders or patterns; more may follow, or repeat --docs.",
            show_default=False,
        ),
    ] = None,
    more: MorePaths = None,
    store: StoreInstead = None,
    k: Annotated[int, typer.Option("--k", min=1, help="Documents to take: the nearest to the question.")] = 5,
    where: Annotated[
        str | None,
        typer.Option(
            "--where",
            metavar="CONDITION",
            help="Of the store's documents, only those that meet it: source, title, section, modified and metadata of "
            "your own, with = != < <= > >= like in, and, or, not.",
            show_default="all",
        ),
    ] = None,
    finder: FinderChoice = FinderName.DENSE,
    reranker: Reranker = None,
    encoder: EncoderName = None,
    embeddings_url: EmbeddingsUrl = None,
    llm: Llm = None,
    retriever: Retriever = None,
    adapter: AdapterName = None,
    engine: Engine = EngineName.TRANSFORMERS,
    engine_url: EngineUrl = None,
    compare: Annotated[bool, typer.Option("--compare", help="Put plain RAG's answer beside it.")] = False,
    as_json: AsJson = False,
    system: Annotated[
        str | None, typer.Option("--system", metavar="TEXT", help="A system prompt.", show_default="none")
    ] = None,
    max_new_tokens: MaxNewTokens = 64,
    prune: Annotated[
        bool, typer.Option("--prune/--no-prune", help="Let the LLM read only documents that are worth reading.")
    ] = True,
    abstain: Annotated[
        bool, typer.Option("--abstain/--no-abstain", help="Give no answer where no document passes for relevant.")
    ] = True,
    threshold: Threshold = None,
) -> None:
    """Answer a question from text, Markdown, HTML, PDF and Word files, or from a store.

    Without QUESTION, questions are typed one after the other, or read from a pipe, and follow-up questions are
    understood; /help lists what else can be typed there.

    Below the answer stand the documents it cites, and every document that was taken, with the probability that it is
    relevant and the retrieval features behind it: r (similarity to the question), γ (to the documents before it) and
    ζ (to its neighbours).
    """
    if docs and question is not None and os.path.exists(question):  # noqa: PTH110 - no path, as a rule; raises nothing
        # A shell that spells out notes/*.md puts files where the question would be.
        more = [Path(question), *(more or [])]
        question = None
    _check(question, as_json)
    served_at = check_engine(engine, engine_url)
    given = StoreSearch(where, finder, reranker, encoder, embeddings_url)
    docs, store, search = _settled(context, docs, store, given)
    fill = open_source(docs, more, store, search)
    with libraries_to_stderr() as stdout:
        note("Loading the models …")
        from r2ag.pipeline import Pipeline

        pipeline = Pipeline.from_pretrained(adapter, llm, retriever, threshold=threshold, engine_url=served_at)
        pipeline.check_k(k)
        fill(pipeline)
        asking = Asking(pipeline, k, search.where, max_new_tokens, prune, abstain, system)
        if question is None:
            from r2ag.cli.session import Session

            Session(asking, compare, stdout).run()
        else:
            _answer_one(asking, question, compare, as_json, stdout)


def _check(question: str | None, as_json: bool) -> None:
    from r2ag.method.prompting import check_question

    if question is not None:
        check_question(question)
    elif as_json:
        raise InputError("--json prints the answer to one question as one object; give the question, in quotes.")


def _settled(
    context: typer.Context, docs: list[Path] | None, store: str | None, search: StoreSearch
) -> tuple[list[Path] | None, str | None, StoreSearch]:
    """What is typed of files puts aside what settings say of a store, and the other way round."""
    if is_typed(context, "docs"):
        typed = {name: value for name, value in vars(search).items() if is_typed(context, name)}
        return docs, store if is_typed(context, "store") else None, StoreSearch(**typed)
    return None if is_typed(context, "store") else docs, store, search


def _answer_one(asking: Asking, question: str, compare: bool, as_json: bool, stdout: TextIO) -> None:
    writer = AnswerPrinter(io.StringIO() if as_json else stdout, "R²AG:      " if compare else "")
    found = asking.find(question)
    answer = asking.answer(found, writer.write)
    writer.end(answer)
    plain = asking.answer_plain(found) if compare else None
    if as_json:
        fields = answer_fields(answer)
        print_json(fields if plain is None else fields | {"plain_answer": plain}, stdout)
        return
    if plain is not None:
        print_plain(plain, stdout)
    print(file=stdout)
    print_citations(answer, stdout)
    if answer.documents:
        print_documents(answer, stdout)
