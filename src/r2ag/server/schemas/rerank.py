"""POST /v1/rerank, as Jina, Cohere and vLLM have it."""

from __future__ import annotations

from pydantic import BaseModel, Field

from r2ag.server.schemas.asking import MODEL, AnyDocument, Strict


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
