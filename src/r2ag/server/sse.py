"""Server-sent events, and clients that hang up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from r2ag.server.errors import ApiError, as_api_error, error_body

Result = TypeVar("Result")


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


class EventStream(StreamingResponse):
    """Sends events as they come, then [DONE]. An error becomes the last event. `events` is closed in any case."""

    def __init__(self, events: AsyncGenerator[dict[str, Any]]) -> None:
        super().__init__(_lines(events), media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends them."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._events.aclose()


async def _lines(events: AsyncIterator[dict[str, Any]]) -> AsyncIterator[str]:
    try:
        async for event in events:
            yield f"data: {json.dumps(event)}\n\n"
    except Exception as error:
        yield f"data: {json.dumps(error_body(as_api_error(error)))}\n\n"
    yield "data: [DONE]\n\n"


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
