"""POST /v1/embeddings: the feature encoder's vectors."""

from __future__ import annotations

import asyncio
import base64
from functools import partial

import numpy as np
from fastapi import APIRouter, Request

from r2ag.server.encoder import slices
from r2ag.server.errors import ApiError
from r2ag.server.routes import ERRORS, check_model
from r2ag.server.schemas.asking import ENCODER_MODEL
from r2ag.server.schemas.embeddings import Embedding, EmbeddingsRequest, EmbeddingsResponse, EmbeddingsUsage
from r2ag.server.service import Service
from r2ag.server.sse import unless_client_leaves
from r2ag.types import Document


def embedding_routes(service: Service) -> APIRouter:
    """The address, for one service."""
    router = APIRouter(tags=["retrieval"])

    @router.post("/v1/embeddings", responses=ERRORS)
    async def create_embeddings(body: EmbeddingsRequest, request: Request) -> EmbeddingsResponse:
        """Vectors of texts; their dot product is the encoder's similarity."""
        check_model(body.model, ENCODER_MODEL)
        _check(service, body)
        with service.places.one():
            async with asyncio.timeout(service.limits.deadline_s):
                vectors, tokens = await unless_client_leaves(request, _encode(service, body))
        data = [
            Embedding(
                index=index, embedding=_as_base64(vector) if body.encoding_format == "base64" else vector.tolist()
            )
            for index, vector in enumerate(vectors)
        ]
        return EmbeddingsResponse(
            data=data, model=ENCODER_MODEL, usage=EmbeddingsUsage(prompt_tokens=tokens, total_tokens=tokens)
        )

    return router


def _check(service: Service, body: EmbeddingsRequest) -> None:
    limits, dimension = service.limits, service.pipeline.encoder.dimension
    if len(body.input) > limits.texts:
        raise ApiError(400, f"There are {len(body.input):,} texts; send at most {limits.texts} at once.", "input")
    if max(map(len, body.input)) > limits.document_characters:
        raise ApiError(400, f"A text is longer than {limits.document_characters:,} characters; split it.", "input")
    if body.dimensions not in (None, dimension):
        raise ApiError(400, f"The encoder's vectors have {dimension} numbers; leave dimensions out.", "dimensions")


async def _encode(service: Service, body: EmbeddingsRequest) -> tuple[np.ndarray, int]:
    """Vectors, (texts, dimension), and how many tokens the texts have."""
    encoder = service.pipeline.encoder
    parts, tokens = [], 0
    for part in slices(body.input):
        texts = [str(text) for text in part]
        if body.input_type == "query":
            work = partial(encoder.encode_queries, texts)
        else:
            work = partial(encoder.encode_documents, [Document(text) for text in texts])
        parts.append(await asyncio.wrap_future(service.thread.run(work)))
        counting = service.thread.run(partial(lambda some: sum(map(encoder.count_tokens, some)), texts))
        tokens += await asyncio.wrap_future(counting)
    return np.concatenate(parts), tokens


def _as_base64(vector: np.ndarray) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()
