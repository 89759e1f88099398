"""What clients send to be answered; each address refuses what it can't honour."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from r2ag.answering.follow_ups import Exchange, exchanges_of
from r2ag.engines.writing import Sampling
from r2ag.pipeline import DEFAULT_NEW_TOKENS
from r2ag.types import Document

MAX_MESSAGES = 200

_REFUSALS = {
    "n": "this server gives one answer to a request",
    "best_of": "this server writes one answer to a request",
    "echo": "the answer alone is given",
    "suffix": "nothing is written before given text",
    "tools": "this server calls no tools",
    "tool_choice": "this server calls no tools",
    "functions": "this server calls no functions",
    "function_call": "this server calls no functions",
    "response_format": "answers are plain text",
    "logprobs": "probabilities of tokens are not given",
    "top_logprobs": "probabilities of tokens are not given",
    "logit_bias": "no token is favoured",
    "frequency_penalty": "repetition is not penalised",
    "presence_penalty": "repetition is not penalised",
    "modalities": "answers are text",
    "audio": "answers are text",
    "web_search_options": "this server searches its own documents alone",
}
_HARMLESS: tuple[Any, ...] = (None, 0, [], {}, "none", "", ["text"], {"type": "text"})


class Strict(BaseModel):
    """A part of a request: no unknown fields, no numbers in quotation marks, no NaN."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class GivenDocument(Strict):
    """A document that comes with a request; `id` is handed back with it."""

    text: str = Field(min_length=1)
    title: str = ""
    id: str = Field("", max_length=200)

    def document(self) -> Document:
        """As the library takes it."""
        return Document(self.text, self.title, self.id)


def _as_document(value: Any) -> Any:
    return {"text": value} if isinstance(value, str) else value


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


AnyDocument = Annotated[GivenDocument, BeforeValidator(_as_document, json_schema_input_type=str | GivenDocument)]
StopText = Annotated[str, Field(min_length=1, max_length=100)]
StopTexts = Annotated[
    list[StopText], Field(max_length=4), BeforeValidator(_as_list, json_schema_input_type=StopText | list[StopText])
]


class StreamOptions(Strict):
    """OpenAI's stream_options."""

    include_usage: bool = False
    include_obfuscation: bool | None = None


class R2AGOptions(Strict):
    """R²AG's own fields: what to answer from."""

    documents: list[AnyDocument] | None = Field(
        None, min_length=1, description="Documents to answer from, in place of the server's."
    )
    k: int | None = Field(None, ge=1, description="How many documents to take.")
    where: str | None = Field(None, max_length=2000, description="A condition on the store's documents.")
    abstain: bool = Field(True, description="Give no answer where no document passes for relevant.")
    prune: bool = Field(True, description="Let the LLM read only the documents that may matter.")


class AttentionRequest(R2AGOptions):
    """A question as it was asked of the documents (an answer's `r2ag.question`)."""

    question: str


class OpenAIRequest(R2AGOptions):
    """What OpenAI's two addresses share: fields that are honoured, then those that are taken and ignored, then those
    whose only accepted value has no effect."""

    model: str = Field(description="`r2ag`, or `rag` for plain RAG's answer to compare with.")
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(0.0, ge=0, le=2, description="0, the default, takes the likeliest token.")
    top_p: float | None = Field(1.0, ge=0, le=1)
    max_tokens: int | None = Field(None, ge=1, description=f"{DEFAULT_NEW_TOKENS} where it is not given.")
    stop: StopTexts | None = None
    seed: int | None = Field(None, ge=-(2**63), le=2**63 - 1)

    user: str | None = None
    metadata: dict[str, str] | None = None
    store: bool | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None

    n: Literal[1] | None = None
    logprobs: Literal[False] | None = None
    logit_bias: Annotated[dict[str, float], Field(max_length=0)] | None = None
    frequency_penalty: Literal[0] | None = None
    presence_penalty: Literal[0] | None = None

    @field_validator(*_REFUSALS, mode="before", check_fields=False)
    @classmethod
    def _refuse(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuses what would change the answer, rather than ignore it."""
        name = str(info.field_name)
        if value in _HARMLESS or (name in ("n", "best_of") and value == 1):
            return None
        raise ValueError(f"{_REFUSALS[name]}; leave {name} out")

    @property
    def has_usage_at_end(self) -> bool:
        """Whether a stream ends with the usage."""
        return self.stream_options is not None and self.stream_options.include_usage

    def sampling(self, max_new_tokens: int | None) -> Sampling:
        """How to write the answer."""
        return Sampling(
            max_new_tokens=max_new_tokens or DEFAULT_NEW_TOKENS,
            temperature=float(self.temperature or 0.0),
            top_p=1.0 if self.top_p is None else float(self.top_p),
            seed=self.seed,
            stop=tuple(self.stop or ()),
        )


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


class ChatRequest(OpenAIRequest):
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
    def system(self) -> str:
        """What system and developer messages say."""
        return "\n\n".join(message.text for message in self.messages if message.role in ("system", "developer"))

    @property
    def history(self) -> tuple[Exchange, ...]:
        """Earlier questions and answers."""
        return exchanges_of((message.role, message.text) for message in self.messages[:-1])


def _as_text(value: Any) -> Any:
    if isinstance(value, list):
        if len(value) == 1 and isinstance(value[0], str):
            return value[0]
        raise ValueError("this server answers one prompt a request, and takes it as text")
    return value


class CompletionRequest(OpenAIRequest):
    """OpenAI's request, with R²AG's own fields."""

    prompt: Annotated[str, BeforeValidator(_as_text), Field(description="The question.")]

    best_of: Literal[1] | None = None
    echo: Literal[False] | None = None
    suffix: None = None
    # Here the number of alternatives, not a switch.
    logprobs: Literal[0] | None = None  # type: ignore[assignment]
