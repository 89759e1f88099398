"""`r2ag serve`, an OpenAI-compatible server over documents, and `r2ag mcp`, documents as tools of an MCP client."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from r2ag.cli import options
from r2ag.cli.checks import need
from r2ag.cli.opening import Models, Search, Source
from r2ag.cli.output import libraries_to_stderr, note
from r2ag.errors import InputError

if TYPE_CHECKING:
    pass


def serve(
    docs: options.Docs = None,
    more: options.MorePaths = None,
    store: Annotated[str | None, Option(metavar="STORE", show_default=False)] = None,
    uploads: Annotated[
        Path | None,
        Option(metavar="DIR", show_default="in the store's folder, or in r2ag's data folder on this machine"),
    ] = None,
    host: str = "127.0.0.1",
    port: Annotated[int, Option(min=0, max=65535)] = 8000,
    keys: Annotated[Path | None, Option(metavar="FILE", show_default="none")] = None,
    allow_host: Annotated[list[str] | None, Option(metavar="NAME", show_default="none")] = None,
    finder: options.Finder = "dense",
    reranker: options.Reranker = None,
    encoder: options.Encoder = None,
    embeddings_url: options.EmbeddingsUrl = None,
    llm: options.Llm = None,
    retriever: options.Retriever = None,
    adapter: options.Adapter = None,
    threshold: options.Threshold = None,
    engine: options.Engine = "transformers",
    engine_url: options.EngineUrl = None,
    batch: Annotated[int, Option(min=1)] = 8,
    queue: Annotated[int, Option(min=0)] = 32,
    deadline: Annotated[float, Option(min=1)] = 120.0,
    log_text: Annotated[bool, Option("--log-text")] = False,
) -> None:
    """Serve a page to ask from at http://127.0.0.1:8000, and OpenAI clients at /v1, with the model name r2ag.

    /docs lists all endpoints: chat, completions, rerank, embeddings, documents. Only this machine can connect, unless
    --host names another address, which needs API keys. On SIGTERM or Ctrl-C the server finishes its running answers
    and ends.

    Args:
        store: A store instead, where documents can be added: a folder, postgresql://… or qdrant+http://…
        uploads: Where uploaded documents are kept; servers that share a store must share this folder, too.
        host: The address to listen on.
        port: The port to listen on; 0 takes a free one.
        keys: API keys, one a line: `read KEY` or `write KEY`. R2AG_READ_KEYS and R2AG_WRITE_KEYS may hold more,
            separated by commas.
        allow_host: A further name of the server; repeatable.
        batch: Answers that are written at the same time.
        queue: Requests that may wait; more are refused.
        deadline: Seconds that an answer may take.
        log_text: Log questions and answers, too.

    Examples:
        r2ag serve --docs notes/
        r2ag serve --store my-store --port 8080
        r2ag serve --store my-store --engine vllm --engine-url http://127.0.0.1:8001/v1
        r2ag serve --store my-store --host 0.0.0.0 --allow-host r2ag.example.org --keys keys.txt
    """
    need("serve")
    from r2ag.server.app import bind, check_exposure, create_app, names_of, run
    from r2ag.server.guard import Limits, load_keys
    from r2ag.server.service import Service
    from r2ag.store import create_store

    models = Models(adapter, llm, retriever, threshold, engine, engine_url)
    known = load_keys(keys, os.environ)
    check_exposure(host, known)
    if not math.isfinite(deadline):
        raise InputError(f"--deadline is {deadline}; give a number of seconds.")
    limits = Limits(batch=batch, queue=queue, deadline_s=deadline)
    source = Source(docs, more, store, Search(None, finder, reranker, encoder, embeddings_url))
    source.check()
    if store is None and uploads is not None:
        raise InputError("--uploads needs --store DIR; documents can only be added to a store.")
    with bind(host, port) as listening, libraries_to_stderr():
        fill = source.open() if store is None else None
        pipeline = models.load()
        opened = made_by = None
        if fill is not None:
            fill(pipeline)
        elif store is not None:  # it is made where it is not there yet, since documents can be added to it
            made_by = source.search.store_encoder(pipeline.encoder)
            opened = create_store(store, made_by)
            pipeline.use(source.search.finder_over(opened, made_by))
        service = Service.of(pipeline, opened, made_by, limits, log_text, uploads)
        app = create_app(service, known, names_of(host, allow_host or []))
        name = f"[{host}]" if ":" in host and not host.startswith("[") else host
        url = f"http://{name}:{listening.getsockname()[1]}"
        note(f"Serving at {url}/v1; the page to ask from is {url}/")
        run(app, listening, limits)


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
