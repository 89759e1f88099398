"""`r2ag mcp`: documents as tools of an MCP client."""

from __future__ import annotations

from r2ag.cli import options
from r2ag.cli.checks import need
from r2ag.cli.opening import Models, Search, Source
from r2ag.cli.output import libraries_to_stderr, note


def mcp(
    docs: options.Docs = None,
    more: options.MorePaths = None,
    store: options.Store = None,
    finder: options.Finder = "dense",
    reranker: options.Reranker = None,
    encoder: options.Encoder = None,
    embeddings_url: options.EmbeddingsUrl = None,
    llm: options.Llm = None,
    retriever: options.Retriever = None,
    adapter: options.Adapter = None,
    threshold: options.Threshold = None,
) -> None:
    """Give an MCP client the tools search and ask over your documents.

    The client starts this command, talks to it over stdin and stdout, and ends it. In the client's settings the
    command is r2ag, and its arguments are those below. Give absolute paths, since the client decides in which folder
    the command runs.

    Examples:
        r2ag mcp --docs notes/
        r2ag mcp --store my-store --finder hybrid
    """
    need("mcp")
    source = Source(docs, more, store, Search(None, finder, reranker, encoder, embeddings_url))
    with libraries_to_stderr():
        fill = source.open()
        pipeline = Models(adapter, llm, retriever, threshold).load()
        from r2ag.integrations.mcp import new_server

        fill(pipeline)
        server = new_server(pipeline)
    note("Ready.")
    server.run()
