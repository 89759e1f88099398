"""/health, /ready and /metrics."""

from __future__ import annotations

import asyncio
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from r2ag import __version__
from r2ag.errors import EngineError
from r2ag.server.errors import ApiError
from r2ag.server.routes import CurrentService

router = APIRouter(tags=["operation"])


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"
    version: str = __version__


@router.get("/health")
async def health() -> Health:
    """Whether the process lives."""
    return Health()


@router.get("/ready")
async def ready(service: CurrentService) -> Health:
    """Whether questions are answered: the models and the engine work, and there is a place in the queue."""
    if not service.thread.is_alive:
        raise ApiError(503, "The models are not at work; start the server again.")
    if not service.slots.are_free:
        raise ApiError(503, "All places in the queue are taken; try again in a moment.")
    if service.elsewhere is not None:
        try:
            await asyncio.wrap_future(service.elsewhere.check())
        except EngineError:
            raise ApiError(503, "The engine that writes the answers can't be reached.") from None
    return Health()


@router.get(
    "/metrics",
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    response_class=Response,
)
async def metrics(service: CurrentService) -> Response:
    """Figures for Prometheus."""
    return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
