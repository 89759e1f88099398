"""Server-sent events, and clients that leave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from r2ag.server.errors import ApiError, as_api_error, error_body

Result = TypeVar("Result")
Item = TypeVar("Item")


class ClientLeftError(ApiError):
    """Nobody waits for the response any more; nobody will see this one."""

    def __init__(self) -> None:
        super().__init__(499, "The client left.")


async def unless_client_leaves(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """The work's result; it is cancelled when the client hangs up, whose request has been read whole.

    Raises:
        ClientLeftError: the client is gone.
    """
    task, gone = asyncio.create_task(work), asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientLeftError
    finally:
        gone.cancel()
        task.cancel()


async def first_of(request: Request, items: AsyncGenerator[Item]) -> AsyncGenerator[Item]:
    """The same items, once the first is there: what fails before it can still be answered with a status of its own."""

    async def begin() -> Item:
        return await anext(items)

    first = await unless_client_leaves(request, begin())

    async def all_items() -> AsyncGenerator[Item]:
        async with aclosing(items):
            yield first
            async for item in items:
                yield item

    return all_items()


class EventStream(StreamingResponse):
    """Events as they come, then [DONE]; what fails in the middle is the last event. Closes `events` however it ends."""

    def __init__(self, events: AsyncGenerator[BaseModel | dict[str, Any]]) -> None:
        super().__init__(_lines(events), media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends them."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._events.aclose()


async def _lines(events: AsyncIterator[BaseModel | dict[str, Any]]) -> AsyncIterator[str]:
    try:
        async for event in events:
            yield f"data: {_json(event)}\n\n"
    except Exception as error:
        yield f"data: {_json(error_body(as_api_error(error)))}\n\n"
    yield "data: [DONE]\n\n"


def _json(event: BaseModel | dict[str, Any]) -> str:
    return event.model_dump_json() if isinstance(event, BaseModel) else json.dumps(event)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
