"""`r2ag ask`: an answer, what it cites, and why each document was read; without a question, a conversation."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from typer import Argument, Context, Option

from r2ag.cli import options
from r2ag.cli.opening import Models, Search, Source
from r2ag.cli.output import libraries_to_stderr
from r2ag.cli.settings import is_typed
from r2ag.errors import InputError


def ask(
    context: Context,
    question: Annotated[str | None, Argument(metavar="QUESTION", show_default=False)] = None,
    docs: options.Docs = None,
    more: options.MorePaths = None,
    store: options.Store = None,
    k: Annotated[int | None, Option(min=1, show_default="5")] = None,
    where: Annotated[str | None, Option(metavar="CONDITION", show_default="all")] = None,
    finder: options.Finder = "dense",
    reranker: options.Reranker = None,
    encoder: options.Encoder = None,
    embeddings_url: options.EmbeddingsUrl = None,
    llm: options.Llm = None,
    retriever: options.Retriever = None,
    adapter: options.Adapter = None,
    engine: options.Engine = "transformers",
    engine_url: options.EngineUrl = None,
    compare: Annotated[bool, Option("--compare")] = False,
    as_json: options.AsJson = False,
    system: Annotated[str | None, Option(metavar="TEXT", show_default="none")] = None,
    max_new_tokens: options.MaxNewTokens = 64,
    prune: Annotated[bool, Option("--prune/--no-prune")] = True,
    abstain: Annotated[bool, Option("--abstain/--no-abstain")] = True,
    threshold: options.Threshold = None,
) -> None:
    """Answer a question from text, Markdown, HTML, PDF and Word files, or from a store.

    Without QUESTION, type one question after the other, or read them from a pipe. Follow-up questions are understood;
    /help lists what else can be typed there.

    Below the answer stand the documents it cites, and every document that was taken, with the probability that it is
    relevant and the retrieval features behind it: r (similarity to the question), γ (to the documents before it) and
    ζ (to its neighbours).

    Args:
        question: The question, in quotes; leave it out to ask several.
        k: How many documents to take: the nearest to the question.
        where: Take only documents of the store that meet it: source, title, section, modified and your own metadata,
            with = != < <= > >= like in, and, or, not.
        compare: Also show plain RAG's answer.
        system: A system prompt.
        prune: Leave out of the prompt documents that are unlikely to be relevant.
        abstain: Give no answer where no document is probably relevant.

    Examples:
        r2ag ask "Who built the first bridge?" --docs notes/
        r2ag ask "Who built the first bridge?" --docs a.md b.txt --compare
        r2ag ask --docs notes/
        r2ag ask "Who built the first bridge?" --docs notes/ --json | jq .citations
        r2ag ask "Who built the first bridge?" --store my-store --finder hybrid
        r2ag ask "Who built the first bridge?" --store my-store --where "team = bridges and modified >= 2024-01-01"
    """
    if docs and question is not None and os.path.exists(question):  # noqa: PTH110 - it may be too long for a path
        # A shell that expands notes/*.md puts a file where the question would be.
        more = [Path(question), *(more or [])]
        question = None
    from r2ag.method.prompting import check_question

    if question is not None:
        check_question(question)
    elif as_json:
        raise InputError("--json prints the answer to one question as one object; give the question, in quotes.")
    models = Models(adapter, llm, retriever, threshold, engine, engine_url)
    source = _settled(context, Source(docs, more, store, Search(where, finder, reranker, encoder, embeddings_url)))
    fill = source.open()
    with libraries_to_stderr() as stdout:
        pipeline = models.load()
        count = pipeline.check_k(k)
        fill(pipeline)
        from r2ag.cli.answers import Asking, answer_one
        from r2ag.cli.session import Session

        read = {"prune": prune, "abstain": abstain}
        asking = Asking(pipeline, count, source.search.where, max_new_tokens, system, read, compare)
        if question is None:
            Session(asking, stdout).run()
        else:
            answer_one(asking, question, as_json, stdout)


def _settled(context: Context, source: Source) -> Source:
    """Files on the command line override a store in the settings, and the other way round."""
    if is_typed(context, "docs"):
        typed = {name: value for name, value in vars(source.search).items() if is_typed(context, name)}
        store = source.store if is_typed(context, "store") else None
        return replace(source, store=store, search=Search(**typed))
    return replace(source, docs=None) if is_typed(context, "store") else source
