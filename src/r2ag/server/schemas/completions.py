"""POST /v1/completions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from r2ag.server.schemas.asking import AnswerFacts, AskingRequest, Usage


def _as_text(value: Any) -> Any:
    if isinstance(value, list):
        if len(value) == 1 and isinstance(value[0], str):
            return value[0]
        raise ValueError("this server answers one prompt a request, and takes it as text")
    return value


class CompletionRequest(AskingRequest):
    """OpenAI's request, with R²AG's own fields."""

    prompt: Annotated[str, BeforeValidator(_as_text), Field(description="The question.")]

    best_of: Literal[1] | None = None
    echo: Literal[False] | None = None
    suffix: None = None
    # Here the number of alternatives, not a switch.
    logprobs: Literal[0] | None = None  # type: ignore[assignment]


class CompletionChoice(BaseModel):
    """The one answer."""

    index: int = 0
    text: str
    logprobs: None = None
    finish_reason: Literal["stop", "length"]


class Completion(BaseModel):
    """The response where it is not streamed."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage
    r2ag: AnswerFacts
