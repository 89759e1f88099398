"""POST /v1/chat/completions, /v1/completions and /r2ag/attention."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from r2ag.engines.writing import Sampling
from r2ag.pipeline import DEFAULT_NEW_TOKENS
from r2ag.server.answering import AnswerRequest
from r2ag.server.errors import as_api_error, error_body
from r2ag.server.requests import AttentionRequest, ChatRequest, CompletionRequest, OpenAIRequest
from r2ag.server.responses import AnswerFacts, AttentionResponse, ChatCompletion, Completion, Usage
from r2ag.server.routes import MODEL, PLAIN_MODEL, CurrentService, check_model, unless_client_leaves
from r2ag.server.service import Service
from r2ag.types import Answer

logger = logging.getLogger(__name__)
router = APIRouter(tags=["answers"])
_Fields = dict[str, Any]
_STREAM: dict[int | str, _Fields] = {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}}


@dataclass(frozen=True)
class _Form:
    """How an address presents an answer, as the fields of its one choice.

    whole: for an answer that is not streamed. opening: for a stream's first event, if it has one before the text.
    piece: for a piece of text. end: for the event with the finish reason.
    """

    response: type[BaseModel]
    id_prefix: str
    chunk_object: str
    whole: Callable[[str, AnswerFacts], _Fields]
    opening: _Fields | None
    piece: Callable[[str], _Fields]
    end: Callable[[str, AnswerFacts], _Fields]


def _annotations(text: str, facts: AnswerFacts) -> list[_Fields]:
    """The cited documents in OpenAI's form; each annotates the whole answer."""
    cited = [document for document in facts.documents if document.rank in facts.citations]
    places = [{"start_index": 0, "end_index": len(text), "title": each.title, "url": each.id} for each in cited]
    return [{"type": "url_citation", "url_citation": place} for place in places]


_CHAT = _Form(
    ChatCompletion,
    id_prefix="chatcmpl",
    chunk_object="chat.completion.chunk",
    whole=lambda text, facts: {"message": {"content": text, "annotations": _annotations(text, facts)}},
    opening={"delta": {"role": "assistant", "content": ""}},
    piece=lambda text: {"delta": {"content": text}},
    end=lambda text, facts: {"delta": {"annotations": _annotations(text, facts)}},
)
_COMPLETION = _Form(
    Completion,
    id_prefix="cmpl",
    chunk_object="text_completion",
    whole=lambda text, facts: {"text": text},
    opening=None,
    piece=lambda text: {"text": text},
    end=lambda text, facts: {"text": ""},
)


@router.post("/v1/chat/completions", responses=_STREAM, response_model=ChatCompletion)
async def create_chat_completion(body: ChatRequest, request: Request, service: CurrentService) -> Response | BaseModel:
    """An answer to the last message from the server's documents, or from those of the request."""
    check_model(body.model, MODEL, PLAIN_MODEL)
    asked = service.asked(
        body,
        body.messages[-1].text,
        body.sampling(body.max_completion_tokens or body.max_tokens),
        history=body.history,
        system=body.system,
        is_plain=body.model == PLAIN_MODEL,
    )
    return await _respond(request, service, body, asked, _CHAT)


@router.post("/v1/completions", responses=_STREAM, response_model=Completion)
async def create_completion(body: CompletionRequest, request: Request, service: CurrentService) -> Response | BaseModel:
    """An answer to the prompt, which is a question."""
    check_model(body.model, MODEL, PLAIN_MODEL)
    asked = service.asked(body, body.prompt, body.sampling(body.max_tokens), is_plain=body.model == PLAIN_MODEL)
    return await _respond(request, service, body, asked, _COMPLETION)


@router.post("/r2ag/attention")
async def attend(body: AttentionRequest, request: Request, service: CurrentService) -> AttentionResponse:
    """Which anchors and documents the LLM looks at, layer by layer (figure 6 of the paper)."""
    asked = service.asked(body, body.question, Sampling(DEFAULT_NEW_TOKENS))
    return await unless_client_leaves(request, service.answering.attend(asked))


async def _respond(
    request: Request, service: Service, body: OpenAIRequest, asked: AnswerRequest, form: _Form
) -> Response | BaseModel:
    head = {"id": f"{form.id_prefix}-{uuid4().hex}", "created": int(time.time()), "model": body.model}
    if body.stream:
        items = service.answering.stream(asked)
        first = await unless_client_leaves(request, anext(items))  # an error before it still gets its own status
        return _EventStream(_events(first, items, service, body, {**head, "object": form.chunk_object}, form))
    answer = await unless_client_leaves(request, service.answering.answer(asked))
    facts = service.facts(answer, body.documents is not None)
    choice = {**form.whole(answer.reply, facts), "finish_reason": answer.finish_reason}
    return form.response.model_validate({**head, "choices": [choice], "usage": Usage.of(answer), "r2ag": facts})


async def _events(
    first: str | Answer,
    items: AsyncGenerator[str | Answer],
    service: Service,
    body: OpenAIRequest,
    head: _Fields,
    form: _Form,
) -> AsyncGenerator[_Fields]:
    """Pieces of text, then the finish reason with the field `r2ag`, then the usage if the request asked for it."""

    def event(fields: _Fields, finish_reason: str | None = None, **further: Any) -> _Fields:
        choice = {"index": 0, **fields, "logprobs": None, "finish_reason": finish_reason}
        return {**head, "choices": [choice], **({"usage": None} if body.has_usage_at_end else {}), **further}

    async with aclosing(items):
        if form.opening is not None:
            yield event(form.opening)
        item = first
        while isinstance(item, str):
            yield event(form.piece(item))
            item = await anext(items)
        facts = service.facts(item, body.documents is not None)
        yield event(form.end(item.reply, facts), item.finish_reason, r2ag=facts.model_dump())
        if body.has_usage_at_end:
            yield {**head, "choices": [], "usage": Usage.of(item).model_dump()}


class _EventStream(StreamingResponse):
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
        told = as_api_error(error)
        if told.status >= 500:
            logger.exception("A stream failed.")
        yield f"data: {json.dumps(error_body(told))}\n\n"
    yield "data: [DONE]\n\n"
