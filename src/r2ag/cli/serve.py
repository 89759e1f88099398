"""`r2ag serve`: an OpenAI-compatible server over documents."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from r2ag.cli.engine import Engine, EngineName, EngineUrl, check_engine
from r2ag.cli.memory import read_into_memory
from r2ag.cli.options import (
    AdapterName,
    DocsToAnswerFrom,
    EmbeddingsUrl,
    EncoderName,
    Llm,
    MorePaths,
    Retriever,
    Threshold,
)
from r2ag.cli.output import libraries_to_stderr, note
from r2ag.cli.requirements import need_server
from r2ag.cli.search import FinderChoice, FinderName, Reranker, StoreSearch
from r2ag.errors import InputError

if TYPE_CHECKING:
    from r2ag.pipeline import Pipeline
    from r2ag.server.limits import Limits
    from r2ag.server.service import Service


def serve(
    docs: DocsToAnswerFrom = None,
    more: MorePaths = None,
    store: Annotated[
        str | None,
        typer.Option(
            "--store",
            metavar="STORE",
            help="A store instead, where documents can be added: a folder, postgresql://… or qdrant+http://…",
            show_default=False,
        ),
    ] = None,
    uploads: Annotated[
        Path | None,
        typer.Option(
            "--uploads",
            metavar="DIR",
            help="Where documents that are added are kept; servers that share a store share this folder, too.",
            show_default="in the store's folder, or in r2ag's own on this machine",
        ),
    ] = None,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 8000,
    keys: Annotated[
        Path | None,
        typer.Option(
            "--keys",
            metavar="FILE",
            help="API keys, a line each: `read KEY` or `write KEY`. More may stand in R2AG_READ_KEYS and "
            "R2AG_WRITE_KEYS, with commas between.",
            show_default="none",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host", metavar="NAME", help="A further name the server goes by; repeatable.", show_default="none"
        ),
    ] = None,
    finder: FinderChoice = FinderName.DENSE,
    reranker: Reranker = None,
    encoder: EncoderName = None,
    embeddings_url: EmbeddingsUrl = None,
    llm: Llm = None,
    retriever: Retriever = None,
    adapter: AdapterName = None,
    threshold: Threshold = None,
    engine: Engine = EngineName.TRANSFORMERS,
    engine_url: EngineUrl = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Answers that are written side by side.")] = 8,
    queue: Annotated[int, typer.Option("--queue", min=0, help="Requests that may wait; more are refused.")] = 32,
    deadline: Annotated[float, typer.Option("--deadline", min=1, help="Seconds that an answer may take.")] = 120.0,
    log_text: Annotated[bool, typer.Option("--log-text", help="Log questions and answers, too.")] = False,
) -> None:
    """Serve a page to ask from at http://127.0.0.1:8000, and OpenAI clients at /v1, with the model name r2ag.

    /docs shows all addresses: chat, completions, rerank, embeddings, documents. Only this machine may ask unless
    --host says otherwise, which needs API keys. SIGTERM or Ctrl-C ends the server when running answers are done.
    """
    need_server()
    from r2ag.server.app import create_app
    from r2ag.server.keys import load_keys
    from r2ag.server.limits import Limits
    from r2ag.server.run import bind, check_exposure, names_of, run

    served_at = check_engine(engine, engine_url)
    known = load_keys(keys, os.environ)
    check_exposure(host, known)
    if not math.isfinite(deadline):
        raise InputError(f"--deadline is {deadline}; give a number of seconds.")
    limits = Limits(batch=batch, queue=queue, deadline_s=deadline)
    search = StoreSearch(None, finder, reranker, encoder, embeddings_url)
    if (docs is None) == (store is None):
        raise InputError("r2ag serve takes either --docs or --store; name one of them.")
    if store is not None and more:
        raise InputError(f"--store takes one store and {more[0]} follows it; name one store.")
    if docs is not None and (uploads is not None or search != StoreSearch()):
        raise InputError("--uploads, --finder, --reranker, --encoder and --embeddings-url need --store DIR.")
    with bind(host, port) as listening, libraries_to_stderr():
        open_service = _of_files(docs or [], more or []) if store is None else _of_store(store, search, uploads)
        note("Loading the models …")
        from r2ag.pipeline import Pipeline

        pipeline = Pipeline.from_pretrained(adapter, llm, retriever, threshold=threshold, engine_url=served_at)
        service = open_service(pipeline, limits, log_text)
        app = create_app(service, known, names_of(host, allow_host or []))
        url = f"http://{_address(host)}:{listening.getsockname()[1]}"
        note(f"Serving at {url}/v1; the page to ask from is {url}/")
        run(app, listening, limits)


OpenService = Callable[["Pipeline", "Limits", bool], "Service"]


def _of_files(docs: list[Path], more: list[Path]) -> OpenService:
    fill = read_into_memory(docs, more)

    def open_service(pipeline: Pipeline, limits: Limits, log_text: bool) -> Service:
        from r2ag.server.service import Service

        fill(pipeline)
        return Service.of(pipeline, limits=limits, log_text=log_text)

    return open_service


def _of_store(location: str, search: StoreSearch, uploads: Path | None) -> OpenService:
    def open_service(pipeline: Pipeline, limits: Limits, log_text: bool) -> Service:
        from r2ag.server.service import Service
        from r2ag.store import create_store

        encoder = search.store_encoder(pipeline.encoder)
        store = create_store(location, encoder)
        pipeline.use(replace(search, encoder=None, embeddings_url=None).finder_over(store, encoder))
        return Service.of(pipeline, store, encoder, limits, log_text, uploads)

    return open_service


def _address(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
