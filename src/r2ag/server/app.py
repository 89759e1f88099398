"""The server as an ASGI application (routes, error handling and middleware) and as a process.

The process finishes running requests before it ends.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline

from r2ag import __version__
from r2ag.errors import InputError
from r2ag.server.errors import handle_errors
from r2ag.server.guard import LOOPBACK, Guard, Keys, Limits
from r2ag.server.monitoring import RequestLog, log_as_json
from r2ag.server.routes import ERRORS, answers, documents, operation, page, retrieval
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
    for module in (answers, retrieval, documents, operation, page):
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
        for described in methods.values():
            described["responses"].pop("422", None)
    for unused in ("HTTPValidationError", "ValidationError"):
        schema["components"]["schemas"].pop(unused, None)
    schema["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    schema["security"] = [{}, {"key": []}]
    return schema


def names_of(host: str, further: list[str]) -> frozenset[str]:
    """Names that requests may give in the Host header; 0.0.0.0 and :: stand for no name."""
    own = {host.strip("[]").lower()} if host not in ("0.0.0.0", "::") else set()
    return LOOPBACK | own | {name.lower() for name in further}


def check_exposure(host: str, keys: Keys) -> None:
    """Refuses to serve other machines without keys.

    Raises:
        InputError: says what to do.
    """
    if not keys and not _is_loopback(host):
        raise InputError(
            f"--host {host} lets other machines ask, and there are no API keys; name a file of them with --keys, "
            "or leave --host out."
        )


def bind(host: str, port: int) -> socket.socket:
    """Opens a listening socket; port 0 takes a free one.

    Raises:
        InputError: the address can't be had.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        raise InputError(f"{host}, port {port}, can't be listened on ({error.strerror}); name another port.") from None
    except UnicodeError:  # of a name with an empty or too long part
        raise InputError(f"--host {host[:80]} is no name of a machine; check it.") from None
    listening.listen()
    return listening


def run(app: FastAPI, listening: socket.socket, limits: Limits) -> None:
    """Serves until SIGTERM or Ctrl-C; then refuses new requests and ends when the running ones are done."""
    log_as_json()
    new_server(app, limits).run(sockets=[listening])


def new_server(app: FastAPI, limits: Limits) -> uvicorn.Server:
    """A uvicorn server for an app."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=int(limits.deadline_s) + 1,
    )
    return uvicorn.Server(config)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
