"""The application: the addresses, and what stands around them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline

from r2ag import __version__
from r2ag.server.errors import handle_errors
from r2ag.server.guard import LOOPBACK, Guard
from r2ag.server.keys import Keys
from r2ag.server.log import RequestLog
from r2ag.server.routes.attention import attention_routes
from r2ag.server.routes.chat import chat_routes
from r2ag.server.routes.completions import completion_routes
from r2ag.server.routes.documents import document_routes
from r2ag.server.routes.embeddings import embedding_routes
from r2ag.server.routes.health import health_routes
from r2ag.server.routes.models import model_routes
from r2ag.server.routes.page import page_routes
from r2ag.server.routes.rerank import rerank_routes
from r2ag.server.service import Service

DESCRIPTION = "Answers from documents by an LLM that is told why each was retrieved (R²AG), with OpenAI's addresses."


def create_app(service: Service, keys: Keys | None = None, hosts: frozenset[str] = LOOPBACK) -> FastAPI:
    """The ASGI application of a service, which it starts and closes.

    Args:
        hosts: names that it answers to, as in the Host header, without ports.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        service.close()

    app = FastAPIOffline(redoc_url=None, title="R²AG", version=__version__, description=DESCRIPTION, lifespan=lifespan)
    for router in (
        chat_routes(service),
        completion_routes(service),
        attention_routes(service),
        model_routes(),
        rerank_routes(service),
        embedding_routes(service),
        document_routes(service),
        health_routes(service),
        page_routes(),
    ):
        app.include_router(router)
    handle_errors(app)
    app.add_middleware(Guard, hosts=hosts, keys=keys or Keys(), limits=service.limits)
    app.add_middleware(RequestLog, metrics=service.metrics)
    _describe(app)
    return app


def _describe(app: FastAPI) -> None:
    """OpenAPI as the app is: what can't be used is answered with 400 here, and FastAPI would say 422."""
    schema: dict[str, Any] = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags
    )
    for methods in schema["paths"].values():
        for operation in methods.values():
            operation["responses"].pop("422", None)
    for unused in ("HTTPValidationError", "ValidationError"):
        schema["components"]["schemas"].pop(unused, None)
    schema["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    schema["security"] = [{}, {"key": []}]
    app.openapi_schema = schema
