"""`r2ag ask`: an answer, what it cites, and why each document was read; without a question, a conversation."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, TextIO

from typer import Argument, Context, Option

from r2ag.cli import options
from r2ag.cli.answers import Asking, print_citations, write_answer
from r2ag.cli.opening import Models, Search, Source
from r2ag.cli.output import libraries_to_stderr, print_json
from r2ag.cli.settings import is_typed
from r2ag.cli.tables import print_documents
from r2ag.errors import InputError
from r2ag.io.as_dict import answer_fields


def ask(
    context: Context,
    question: Annotated[
        str | None,
        Argument(metavar="QUESTION", help="In quotes; without one, ask as many as you like.", show_default=False),
    ] = None,
    docs: options.Docs = None,
    more: options.MorePaths = None,
    store: options.Store = None,
    k: Annotated[int, Option(min=1, help="How many documents to take: the nearest to the question.")] = 5,
    where: Annotated[
        str | None,
        Option(
            metavar="CONDITION",
            help="Take only documents of the store that meet it: source, title, section, modified and your own "
            "metadata, with = != < <= > >= like in, and, or, not.",
            show_default="all",
        ),
    ] = None,
    finder: options.Finder = "dense",
    reranker: options.Reranker = None,
    encoder: options.Encoder = None,
    embeddings_url: options.EmbeddingsUrl = None,
    llm: options.Llm = None,
    retriever: options.Retriever = None,
    adapter: options.Adapter = None,
    engine: options.Engine = "transformers",
    engine_url: options.EngineUrl = None,
    compare: Annotated[bool, Option("--compare", help="Also show plain RAG's answer.")] = False,
    as_json: options.AsJson = False,
    system: Annotated[str | None, Option(metavar="TEXT", help="A system prompt.", show_default="none")] = None,
    max_new_tokens: options.MaxNewTokens = 64,
    prune: Annotated[
        bool, Option("--prune/--no-prune", help="Leave out of the prompt documents that are unlikely to be relevant.")
    ] = True,
    abstain: Annotated[
        bool, Option("--abstain/--no-abstain", help="Give no answer where no document is probably relevant.")
    ] = True,
    threshold: options.Threshold = None,
) -> None:
    """Answer a question from text, Markdown, HTML, PDF and Word files, or from a store.

    Without QUESTION, type one question after the other, or read them from a pipe. Follow-up questions are understood;
    /help lists what else can be typed there.

    Below the answer stand the documents it cites, and every document that was taken, with the probability that it is
    relevant and the retrieval features behind it: r (similarity to the question), γ (to the documents before it) and
    ζ (to its neighbours).
    """
    if docs and question is not None and os.path.exists(question):  # noqa: PTH110 - it may be too long for a path
        # A shell that expands notes/*.md puts a file where the question would be.
        more = [Path(question), *(more or [])]
        question = None
    _check(question, as_json)
    models = Models(adapter, llm, retriever, threshold, engine, engine_url)
    source = _settled(context, Source(docs, more, store, Search(where, finder, reranker, encoder, embeddings_url)))
    fill = source.open()
    with libraries_to_stderr() as stdout:
        pipeline = models.load()
        pipeline.check_k(k)
        fill(pipeline)
        asking = Asking(pipeline, k, source.search.where, max_new_tokens, prune, abstain, system, compare)
        if question is None:
            from r2ag.cli.session import Session

            Session(asking, stdout).run()
        else:
            _answer_one(asking, question, as_json, stdout)


def _check(question: str | None, as_json: bool) -> None:
    from r2ag.method.prompting import check_question

    if question is not None:
        check_question(question)
    elif as_json:
        raise InputError("--json prints the answer to one question as one object; give the question, in quotes.")


def _settled(context: Context, source: Source) -> Source:
    """Files on the command line override a store in the settings, and the other way round."""
    if is_typed(context, "docs"):
        typed = {name: value for name, value in vars(source.search).items() if is_typed(context, name)}
        store = source.store if is_typed(context, "store") else None
        return replace(source, store=store, search=Search(**typed))
    return replace(source, docs=None) if is_typed(context, "store") else source


def _answer_one(asking: Asking, question: str, as_json: bool, stdout: TextIO) -> None:
    found = asking.find(question)
    answer, plain = write_answer(asking, found, io.StringIO() if as_json else stdout)
    if as_json:
        print_json(answer_fields(answer) | ({} if plain is None else {"plain_answer": plain}), stdout)
        return
    print(file=stdout)
    print_citations(answer, stdout)
    if answer.documents:
        print_documents(answer, stdout)
