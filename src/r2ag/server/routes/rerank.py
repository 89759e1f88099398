"""POST /v1/rerank."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from fastapi import APIRouter, Request

from r2ag.method.prompting import check_question
from r2ag.server.routes import ERRORS, check_model
from r2ag.server.schemas.asking import MODEL
from r2ag.server.schemas.rerank import RerankedText, RerankRequest, RerankResponse, RerankResult, RerankUsage
from r2ag.server.service import Service
from r2ag.server.sse import unless_client_leaves
from r2ag.types import Document


def rerank_routes(service: Service) -> APIRouter:
    """The address, for one service."""
    router = APIRouter(tags=["retrieval"])

    @router.post("/v1/rerank", responses=ERRORS, response_model_exclude_none=True)
    @router.post("/rerank", responses=ERRORS, response_model_exclude_none=True, include_in_schema=False)
    async def rerank(body: RerankRequest, request: Request) -> RerankResponse:
        """The documents by the calibrated probability that they are relevant to the query."""
        check_model(body.model, MODEL)
        check_question(body.query)
        documents = service.documents(body.documents)
        with service.places.one():
            async with asyncio.timeout(service.limits.deadline_s):
                probabilities, tokens = await unless_client_leaves(request, _assess(service, body.query, documents))
        order = sorted(range(len(documents)), key=lambda index: -probabilities[index])[: body.top_n]
        results = [
            RerankResult(
                index=index,
                relevance_score=probabilities[index],
                document=RerankedText(text=documents[index].text) if body.return_documents else None,
            )
            for index in order
        ]
        return RerankResponse(
            id=f"rerank-{uuid4().hex}", model=MODEL, results=results, usage=RerankUsage(total_tokens=tokens)
        )

    return router


async def _assess(service: Service, query: str, documents: tuple[Document, ...]) -> tuple[tuple[float, ...], int]:
    """Probabilities of the documents, and how many tokens they and the query have."""
    pipeline = service.pipeline

    def work() -> tuple[tuple[float, ...], int]:
        found = pipeline.find(query, documents)
        texts = [query, *(document.passage for document in documents)]
        tokens = sum(map(pipeline.encoder.count_tokens, texts))
        return pipeline.reader.assess([found.ranked]).probabilities[0], tokens

    return await asyncio.wrap_future(service.thread.run(work))
