"""POST /r2ag/attention."""

from __future__ import annotations

from pydantic import BaseModel, Field

from r2ag.server.answering import ServedAttention
from r2ag.server.schemas.asking import Selection


class AttentionRequest(Selection):
    """A question as it was asked of the documents (an answer's `r2ag.question`)."""

    question: str


class AttentionResponse(BaseModel):
    """Where the LLM looks as it begins its answer: a row a layer, and in it a share for each document of `ranks`."""

    ranks: list[int] = Field(description="Documents that the LLM reads; none where it is not asked.")
    anchors: list[list[float]] = Field(description="Attention to what it is told of each document.")
    documents: list[list[float]] = Field(description="Attention to each document's text.")

    @classmethod
    def of(cls, attended: ServedAttention) -> AttentionResponse:
        """Rounded to what is worth sending."""
        attention = attended.attention
        if attention is None:
            return cls(ranks=[], anchors=[], documents=[])
        return cls(
            ranks=list(attended.ranks), anchors=_rounded(attention.anchors), documents=_rounded(attention.documents)
        )


def _rounded(layers: tuple[tuple[float, ...], ...]) -> list[list[float]]:
    return [[round(share, 5) for share in layer] for layer in layers]
