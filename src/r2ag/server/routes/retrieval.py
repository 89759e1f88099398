"""POST /v1/rerank, as Jina, Cohere and vLLM have it, and POST /v1/embeddings: the feature encoder's vectors."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal
from uuid import uuid4

import numpy as np
from fastapi import APIRouter, Request
from pydantic import BaseModel, BeforeValidator, Field

from r2ag.method.prompting import check_question
from r2ag.server.errors import ApiError
from r2ag.server.requests import AnyDocument, Strict
from r2ag.server.routes import ENCODER_MODEL, MODEL, CurrentService, check_model, unless_client_leaves
from r2ag.server.searching import slices
from r2ag.server.service import Service
from r2ag.types import Document

router = APIRouter(tags=["retrieval"])


class RerankRequest(Strict):
    """A query and the documents that a retriever found for it, in its order."""

    model: str = MODEL
    query: str
    documents: list[AnyDocument] = Field(min_length=1)
    top_n: int | None = Field(None, ge=1)
    return_documents: bool | None = False
    max_tokens_per_doc: int | None = Field(None, ge=1, description="Taken and ignored.")
    user: str | None = None


class RerankedText(BaseModel):
    """A document, where it was asked for."""

    text: str


class RerankResult(BaseModel):
    """A document by its index in the request; the score is the calibrated probability that it is relevant."""

    index: int
    relevance_score: float
    document: RerankedText | None = None


class RerankUsage(BaseModel):
    """Tokens that the encoder read."""

    total_tokens: int


class RerankResponse(BaseModel):
    """The documents by falling probability."""

    id: str
    model: str
    results: list[RerankResult]
    usage: RerankUsage


def _as_texts(value: Any) -> Any:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and any(isinstance(each, (int, list)) for each in value):
        raise ValueError("token ids are not taken; send the text itself")
    return value


Text = Annotated[str, Field(min_length=1)]


class EmbeddingsRequest(Strict):
    """OpenAI's request. `input_type` matters to encoders that read questions and documents differently."""

    model: str
    input: Annotated[
        list[Text], Field(min_length=1), BeforeValidator(_as_texts, json_schema_input_type=Text | list[Text])
    ]
    encoding_format: Literal["float", "base64"] | None = "float"
    dimensions: int | None = Field(None, ge=1)
    input_type: Literal["query", "document"] = "document"
    user: str | None = None


class Embedding(BaseModel):
    """One text's vector: numbers, or their float32 bytes (little-endian) in base64."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingsUsage(BaseModel):
    """Tokens that the encoder read."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsResponse(BaseModel):
    """Vectors in the order of the texts."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: EmbeddingsUsage


@router.post("/v1/rerank", response_model_exclude_none=True)
@router.post("/rerank", response_model_exclude_none=True, include_in_schema=False)
async def rerank(body: RerankRequest, request: Request, service: CurrentService) -> RerankResponse:
    """The documents by the calibrated probability that they are relevant to the query."""
    check_model(body.model, MODEL)
    check_question(body.query)
    documents = service.documents(body.documents)
    pipeline = service.pipeline

    def assess() -> tuple[tuple[float, ...], int]:
        found = pipeline.find(body.query, documents)
        texts = [body.query, *(document.passage for document in documents)]
        return pipeline.reader.assess([found.ranked]).probabilities[0], sum(map(pipeline.encoder.count_tokens, texts))

    async with service.slots.one():
        work = asyncio.wrap_future(service.thread.run(assess))
        probabilities, tokens = await unless_client_leaves(request, work)
    results = [
        RerankResult(
            index=index,
            relevance_score=probability,
            document=RerankedText(text=documents[index].text) if body.return_documents else None,
        )
        for index, probability in sorted(enumerate(probabilities), key=lambda pair: -pair[1])[: body.top_n]
    ]
    usage = RerankUsage(total_tokens=tokens)
    return RerankResponse(id=f"rerank-{uuid4().hex}", model=MODEL, results=results, usage=usage)


@router.post("/v1/embeddings")
async def create_embeddings(body: EmbeddingsRequest, request: Request, service: CurrentService) -> EmbeddingsResponse:
    """Vectors of texts; their dot product is the encoder's similarity."""
    check_model(body.model, ENCODER_MODEL)
    _check_sizes(service, body)
    async with service.slots.one():
        vectors, tokens = await unless_client_leaves(request, _encode(service, body))

    def shown(vector: np.ndarray) -> list[float] | str:
        is_base64 = body.encoding_format == "base64"
        return base64.b64encode(vector.astype("<f4").tobytes()).decode() if is_base64 else vector.tolist()

    data = [Embedding(index=index, embedding=shown(vector)) for index, vector in enumerate(vectors)]
    usage = EmbeddingsUsage(prompt_tokens=tokens, total_tokens=tokens)
    return EmbeddingsResponse(data=data, model=ENCODER_MODEL, usage=usage)


def _check_sizes(service: Service, body: EmbeddingsRequest) -> None:
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

    def work(texts: Sequence[str]) -> tuple[np.ndarray, int]:
        is_query = body.input_type == "query"
        vectors = encoder.encode_queries(texts) if is_query else encoder.encode_documents([*map(Document, texts)])
        return vectors, sum(map(encoder.count_tokens, texts))

    parts = [await asyncio.wrap_future(service.thread.run(partial(work, part))) for part in slices(body.input)]
    return np.concatenate([vectors for vectors, _ in parts]), sum(tokens for _, tokens in parts)
