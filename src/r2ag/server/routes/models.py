"""GET /v1/models."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from r2ag.server.errors import ApiError
from r2ag.server.routes import ENCODER_MODEL, MODEL, PLAIN_MODEL

router = APIRouter(tags=["models"])
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


@router.get("/v1/models")
async def list_models() -> ModelList:
    """`r2ag` answers and reranks; `rag` is plain RAG with the same LLM; `r2ag-encoder` embeds."""
    return ModelList(data=[ModelCard(id=model) for model in _MODELS])


@router.get("/v1/models/{model}")
async def retrieve_model(model: str) -> ModelCard:
    """One of them."""
    if model not in _MODELS:
        raise ApiError(404, "There is no such model; GET /v1/models lists those there are.", "model", "model_not_found")
    return ModelCard(id=model)
