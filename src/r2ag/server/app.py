"""The ASGI application: routes, error handling and middleware."""

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
from r2ag.server.routes import ERRORS, answers, documents, health, models, page, retrieval
from r2ag.server.service import Service

DESCRIPTION = "Answers from documents by an LLM that is told why each was retrieved (R²AG), with OpenAI's addresses."


def create_app(service: Service, keys: Keys | None = None, hosts: frozenset[str] = LOOPBACK) -> FastAPI:
    """Builds the application around a service, which it starts and closes.

    Args:
        hosts: names that requests may give in the Host header, without ports.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        service.close()

    app = FastAPIOffline(redoc_url=None, title="R²AG", version=__version__, description=DESCRIPTION, lifespan=lifespan)
    app.state.service = service
    for module in (answers, models, retrieval, documents, health, page):
        app.include_router(module.router, responses=ERRORS)
    handle_errors(app)
    app.add_middleware(Guard, hosts=hosts, keys=keys or Keys(), limits=service.limits)
    app.add_middleware(RequestLog, metrics=service.metrics)
    schema = _describe(app)
    app.openapi = lambda: schema  # type: ignore[method-assign]  # FastAPI would make another, since routes were added
    return app


def _describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI schema: unlike FastAPI's own, it has 400 in place of 422, and says that a key may be needed."""
    schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    for methods in schema["paths"].values():
        for operation in methods.values():
            operation["responses"].pop("422", None)
    for unused in ("HTTPValidationError", "ValidationError"):
        schema["components"]["schemas"].pop(unused, None)
    schema["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    schema["security"] = [{}, {"key": []}]
    return schema
