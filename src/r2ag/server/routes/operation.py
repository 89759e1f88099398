"""/v1/models, /health, /ready and /metrics."""

from __future__ import annotations

import asyncio
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from r2ag import __version__
from r2ag.errors import EngineError
from r2ag.server.errors import ApiError
from r2ag.server.routes import ENCODER_MODEL, MODEL, PLAIN_MODEL, CurrentService

router = APIRouter()
_SINCE = 1_735_689_600  # OpenAI's clients want a time; ours says nothing
_MODELS = (MODEL, PLAIN_MODEL, ENCODER_MODEL)


class ModelCard(BaseModel):
    """A model as OpenAI lists it."""

    id: str
    object: Literal["model"] = "model"
    created: int = _SINCE
    owned_by: str = "r2ag"


class ModelList(BaseModel):
    """The models there are."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


@router.get("/v1/models", tags=["models"])
async def list_models() -> ModelList:
    """`r2ag` answers and reranks; `rag` is plain RAG with the same LLM; `r2ag-encoder` embeds."""
    return ModelList(data=[ModelCard(id=model) for model in _MODELS])


@router.get("/v1/models/{model}", tags=["models"])
async def retrieve_model(model: str) -> ModelCard:
    """One of them."""
    if model not in _MODELS:
        raise ApiError(404, "There is no such model; GET /v1/models lists those there are.", "model", "model_not_found")
    return ModelCard(id=model)


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"
    version: str = __version__


@router.get("/health", tags=["operation"])
async def health() -> Health:
    """Whether the process lives."""
    return Health()


@router.get("/ready", tags=["operation"])
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
    tags=["operation"],
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    response_class=Response,
)
async def metrics(service: CurrentService) -> Response:
    """Figures for Prometheus."""
    return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
