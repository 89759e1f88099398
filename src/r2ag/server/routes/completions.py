"""POST /v1/completions: the prompt is the question."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any
from uuid import uuid4

from fastapi import APIRouter, Request, Response

from r2ag.server.answering import ServedAnswer, log_texts
from r2ag.server.routes import ERRORS, STREAM, check_model
from r2ag.server.schemas.asking import MODEL, PLAIN_MODEL, Usage
from r2ag.server.schemas.completions import Completion, CompletionChoice, CompletionRequest
from r2ag.server.service import Service
from r2ag.server.sse import EventStream, first_of, unless_client_leaves


def completion_routes(service: Service) -> APIRouter:
    """The address, for one service."""
    router = APIRouter(tags=["answers"])

    @router.post("/v1/completions", responses={**ERRORS, **STREAM}, response_model=Completion)
    async def create_completion(body: CompletionRequest, request: Request) -> Response | Completion:
        """An answer to the prompt, which is a question."""
        check_model(body.model, MODEL, PLAIN_MODEL)
        asked = service.asked(body, body.prompt, body.sampling(body.max_tokens))
        asked = replace(asked, is_plain=body.model == PLAIN_MODEL)
        if body.stream:
            items = await first_of(request, service.answering.stream(asked))
            return EventStream(_chunks(items, service, body))
        answered = await unless_client_leaves(request, service.answering.answer(asked))
        log_texts(service.log_text, answered)
        return Completion(
            id=_new_id(),
            created=int(time.time()),
            model=body.model,
            choices=[CompletionChoice(text=answered.text, finish_reason=answered.finish_reason)],
            usage=Usage.of(answered.answer),
            r2ag=service.facts(answered.answer, body.documents is not None),
        )

    return router


async def _chunks(
    items: AsyncGenerator[str | ServedAnswer], service: Service, body: CompletionRequest
) -> AsyncGenerator[dict[str, Any]]:
    head = {"id": _new_id(), "object": "text_completion", "created": int(time.time()), "model": body.model}

    def chunk(text: str, finish_reason: str | None = None, **further: Any) -> dict[str, Any]:
        choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish_reason}
        return {**head, "choices": [choice], **further}

    try:
        async for item in items:
            if isinstance(item, str):
                yield chunk(item)
                continue
            log_texts(service.log_text, item)
            facts = service.facts(item.answer, body.documents is not None)
            yield chunk("", item.finish_reason, r2ag=facts.model_dump())
            if body.stream_options is not None and body.stream_options.include_usage:
                yield {**head, "choices": [], "usage": Usage.of(item.answer).model_dump()}
    finally:
        await items.aclose()


def _new_id() -> str:
    return f"cmpl-{uuid4().hex}"
