"""POST /v1/chat/completions."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any
from uuid import uuid4

from fastapi import APIRouter, Request, Response

from r2ag.server.answering import ServedAnswer, log_texts
from r2ag.server.routes import ERRORS, STREAM, check_model
from r2ag.server.schemas.asking import MODEL, PLAIN_MODEL, AnswerFacts, Usage
from r2ag.server.schemas.chat import Annotation, AnswerMessage, ChatChoice, ChatCompletion, ChatRequest, UrlCitation
from r2ag.server.service import Service
from r2ag.server.sse import EventStream, first_of, unless_client_leaves


def chat_routes(service: Service) -> APIRouter:
    """The address, for one service."""
    router = APIRouter(tags=["answers"])

    @router.post("/v1/chat/completions", responses={**ERRORS, **STREAM}, response_model=ChatCompletion)
    async def create_chat_completion(body: ChatRequest, request: Request) -> Response | ChatCompletion:
        """An answer to the last message from the server's documents, or from those of the request."""
        check_model(body.model, MODEL, PLAIN_MODEL)
        service.check_system(body.system)
        sampling = body.sampling(body.max_completion_tokens or body.max_tokens)
        asked = service.asked(body, body.question, sampling)
        asked = replace(asked, history=body.history, system=body.system, is_plain=body.model == PLAIN_MODEL)
        if body.stream:
            items = await first_of(request, service.answering.stream(asked))
            return EventStream(_chunks(items, service, body))
        answered = await unless_client_leaves(request, service.answering.answer(asked))
        log_texts(service.log_text, answered)
        return _completion(answered, service.facts(answered.answer, body.documents is not None), body.model)

    return router


def _completion(answered: ServedAnswer, facts: AnswerFacts, model: str) -> ChatCompletion:
    message = AnswerMessage(content=answered.text, annotations=_annotations(answered.text, facts))
    return ChatCompletion(
        id=_new_id(),
        created=int(time.time()),
        model=model,
        choices=[ChatChoice(message=message, finish_reason=answered.finish_reason)],
        usage=Usage.of(answered.answer),
        r2ag=facts,
    )


async def _chunks(
    items: AsyncGenerator[str | ServedAnswer], service: Service, body: ChatRequest
) -> AsyncGenerator[dict[str, Any]]:
    """The role, the pieces, then why the answer ended and what it is made of; the usage where it was asked for."""
    head = {"id": _new_id(), "object": "chat.completion.chunk", "created": int(time.time()), "model": body.model}
    with_usage = body.stream_options is not None and body.stream_options.include_usage

    def chunk(delta: dict[str, Any], finish_reason: str | None = None, **further: Any) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return {**head, "choices": [choice], **({"usage": None} if with_usage else {}), **further}

    try:
        yield chunk({"role": "assistant", "content": ""})
        async for item in items:
            if isinstance(item, str):
                yield chunk({"content": item})
                continue
            log_texts(service.log_text, item)
            facts = service.facts(item.answer, body.documents is not None)
            cited = [annotation.model_dump() for annotation in _annotations(item.text, facts)]
            yield chunk({"annotations": cited}, item.finish_reason, r2ag=facts.model_dump())
            if with_usage:
                yield {**head, "choices": [], "usage": Usage.of(item.answer).model_dump()}
    finally:
        await items.aclose()


def _annotations(text: str, facts: AnswerFacts) -> list[Annotation]:
    """The cited documents in OpenAI's form, each for the whole answer."""
    return [
        Annotation(url_citation=UrlCitation(start_index=0, end_index=len(text), title=document.title, url=document.id))
        for document in facts.documents
        if document.rank in facts.citations
    ]


def _new_id() -> str:
    return f"chatcmpl-{uuid4().hex}"
