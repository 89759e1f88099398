"""The routes, a group a file, and what they share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request

from r2ag.server.errors import ApiError, ErrorBody
from r2ag.server.service import Service

Result = TypeVar("Result")
MODEL, PLAIN_MODEL, ENCODER_MODEL = "r2ag", "rag", "r2ag-encoder"

ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody, "description": description}
    for status, description in {
        400: "The request can't be used.",
        401: "An API key is missing.",
        403: "This key, or this page, may not do that.",
        404: "There is no such model, document or address.",
        408: "The request came too slowly.",
        413: "The body is too large.",
        421: "The server does not go by that name.",
        429: "The server is busy; Retry-After says when to try again.",
        500: "The server failed.",
        502: "The engine that writes the answers failed.",
        503: "The server can't answer now.",
        504: "The answer took too long.",
    }.items()
}


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


CurrentService = Annotated[Service, Depends(_service)]


def check_model(given: str, *known: str) -> None:
    """Refuses models that this address does not have.

    Raises:
        ApiError: names those there are.
    """
    if given not in known:
        names = " and ".join(map(repr, known))
        raise ApiError(
            404, f"There is no model {given[:80]!r} here; this address has {names}.", "model", "model_not_found"
        )


async def unless_client_leaves(request: Request, work: Awaitable[Result]) -> Result:
    """Awaits the work, and cancels it when the client hangs up. The request's body must have been read.

    Raises:
        ApiError: the client is gone; nobody will see it.
    """
    task, gone = asyncio.ensure_future(work), asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ApiError(499, "The client left.")
    finally:
        gone.cancel()
        task.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
