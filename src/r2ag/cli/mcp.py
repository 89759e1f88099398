"""`r2ag mcp`: documents as tools of an MCP client."""

from __future__ import annotations

from r2ag.cli.options import (
    AdapterName,
    DocsToAnswerFrom,
    EmbeddingsUrl,
    EncoderName,
    Llm,
    MorePaths,
    Retriever,
    StoreInstead,
    Threshold,
)
from r2ag.cli.output import libraries_to_stderr, note
from r2ag.cli.requirements import need_mcp
from r2ag.cli.search import FinderChoice, FinderName, Reranker, StoreSearch
from r2ag.cli.source import open_source


def mcp(
    docs: DocsToAnswerFrom = None,
    more: MorePaths = None,
    store: StoreInstead = None,
    finder: FinderChoice = FinderName.DENSE,
    reranker: Reranker = None,
    encoder: EncoderName = None,
    embeddings_url: EmbeddingsUrl = None,
    llm: Llm = None,
    retriever: Retriever = None,
    adapter: AdapterName = None,
    threshold: Threshold = None,
) -> None:
    """Give an MCP client the tools search and ask over your documents.

    The client starts this command and talks to it over stdin and stdout; it ends with the client. In the client's
    settings the command is r2ag, and its arguments are those below. Give whole paths, for the client chooses the folder
    that it is started in.
    """
    need_mcp()
    search = StoreSearch(None, finder, reranker, encoder, embeddings_url)
    with libraries_to_stderr():
        fill = open_source(docs, more, store, search)
        note("Loading the models …")
        from r2ag.integrations.mcp import new_server
        from r2ag.pipeline import Pipeline

        pipeline = Pipeline.from_pretrained(adapter, llm, retriever, threshold=threshold)
        fill(pipeline)
        server = new_server(pipeline)
    note("Ready.")
    server.run()
