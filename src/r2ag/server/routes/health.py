"""/health, /ready and /metrics."""

from __future__ import annotations

import asyncio
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from r2ag import __version__
from r2ag.engines.vllm import VLLMEngine
from r2ag.errors import EngineError
from r2ag.server.errors import ApiError
from r2ag.server.routes import ERRORS
from r2ag.server.service import Service


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"
    version: str = __version__


def health_routes(service: Service) -> APIRouter:
    """The addresses, for one service."""
    router = APIRouter(tags=["operation"])

    @router.get("/health", responses=ERRORS)
    async def health() -> Health:
        """Whether the process lives."""
        return Health()

    @router.get("/ready", responses=ERRORS)
    async def ready() -> Health:
        """Whether questions are answered: the models and the engine work, and there is a place in the queue."""
        if not service.thread.is_alive:
            raise ApiError(503, "The models are not at work; start the server again.")
        if service.places.taken >= service.places.count:
            raise ApiError(503, "All places in the queue are taken; try again in a moment.")
        if service.elsewhere is not None:
            await _check(service.elsewhere)
        return Health()

    @router.get(
        "/metrics",
        responses={**ERRORS, 200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
        response_class=Response,
    )
    async def metrics() -> Response:
        """Figures for Prometheus."""
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router


async def _check(engine: VLLMEngine) -> None:
    try:
        await asyncio.wrap_future(engine.check())
    except EngineError:
        raise ApiError(503, "The engine that writes the answers can't be reached.") from None
