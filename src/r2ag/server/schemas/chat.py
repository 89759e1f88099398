"""POST /v1/chat/completions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from r2ag.answering.follow_ups import Exchange, exchanges_of
from r2ag.server.schemas.asking import AnswerFacts, AskingRequest, Usage

MAX_MESSAGES = 200


class TextPart(BaseModel):
    """A part of a message."""

    model_config = ConfigDict(strict=True)
    type: Literal["text"]
    text: str


def _as_parts(value: Any) -> Any:
    if isinstance(value, str):
        return [{"type": "text", "text": value}]
    for part in value if isinstance(value, list) else ():
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(kind, str) and kind != "text":
            raise ValueError(f"a part is of type {kind[:40]!r}, and this server reads text alone")
    return value


Content = Annotated[
    list[TextPart] | None, BeforeValidator(_as_parts, json_schema_input_type=str | list[TextPart] | None)
]


class Message(BaseModel):
    """One message. What else a client's own answers carry when they come back is passed over."""

    model_config = ConfigDict(extra="ignore", strict=True)
    role: Literal["system", "developer", "user", "assistant"]
    content: Content = None

    @field_validator("role", mode="before")
    @classmethod
    def _known(cls, role: Any) -> Any:
        if role in ("tool", "function"):
            raise ValueError("this server calls no tools, so that no message can be a tool's")
        return role

    @property
    def text(self) -> str:
        """Its text."""
        return "\n".join(part.text for part in self.content or ())


class ChatRequest(AskingRequest):
    """OpenAI's request, with R²AG's own fields."""

    messages: list[Message] = Field(
        min_length=1, max_length=MAX_MESSAGES, description="The last one is the user's, and the question."
    )
    max_completion_tokens: int | None = Field(None, ge=1)

    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None

    tools: Annotated[list[Any], Field(max_length=0)] | None = None
    tool_choice: Literal["none"] | None = None
    functions: Annotated[list[Any], Field(max_length=0)] | None = None
    function_call: Literal["none"] | None = None
    response_format: dict[Literal["type"], Literal["text"]] | None = None
    top_logprobs: Literal[0] | None = None
    modalities: list[Literal["text"]] | None = None
    audio: None = None
    web_search_options: None = None

    @field_validator("messages", mode="after")
    @classmethod
    def _asks(cls, messages: list[Message]) -> list[Message]:
        if messages[-1].role != "user":
            raise ValueError("the last message must be the user's: it is the question")
        return messages

    @property
    def question(self) -> str:
        """The last message."""
        return self.messages[-1].text

    @property
    def system(self) -> str:
        """What system and developer messages say."""
        return "\n\n".join(message.text for message in self.messages if message.role in ("system", "developer"))

    @property
    def history(self) -> tuple[Exchange, ...]:
        """What was asked and answered before."""
        return exchanges_of((message.role, message.text) for message in self.messages[:-1])


class UrlCitation(BaseModel):
    """OpenAI's citation: what of the answer it is about, and the document."""

    start_index: int
    end_index: int
    title: str
    url: str


class Annotation(BaseModel):
    """A document that bears the answer out."""

    type: Literal["url_citation"] = "url_citation"
    url_citation: UrlCitation


class AnswerMessage(BaseModel):
    """The answer."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None
    annotations: list[Annotation]


class ChatChoice(BaseModel):
    """The one answer."""

    index: int = 0
    message: AnswerMessage
    logprobs: None = None
    finish_reason: Literal["stop", "length"]


class ChatCompletion(BaseModel):
    """The response where it is not streamed."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage
    r2ag: AnswerFacts
