"""POST /r2ag/attention."""

from __future__ import annotations

from fastapi import APIRouter, Request

from r2ag.engines.writing import Sampling
from r2ag.pipeline import DEFAULT_NEW_TOKENS
from r2ag.server.routes import ERRORS
from r2ag.server.schemas.attention import AttentionRequest, AttentionResponse
from r2ag.server.service import Service
from r2ag.server.sse import unless_client_leaves


def attention_routes(service: Service) -> APIRouter:
    """The address, for one service."""
    router = APIRouter(tags=["answers"])

    @router.post("/r2ag/attention", responses=ERRORS)
    async def attend(body: AttentionRequest, request: Request) -> AttentionResponse:
        """Which anchors and documents the LLM looks at, layer by layer (figure 6 of the paper)."""
        asked = service.asked(body, body.question, Sampling(DEFAULT_NEW_TOKENS))
        return AttentionResponse.of(await unless_client_leaves(request, service.answering.attend(asked)))

    return router
