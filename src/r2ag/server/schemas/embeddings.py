"""POST /v1/embeddings."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from r2ag.server.schemas.asking import Strict


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
