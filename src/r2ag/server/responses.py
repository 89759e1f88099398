"""Answers as clients get them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from r2ag.types import Answer


class Usage(BaseModel):
    """Tokens that were read and written."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int

    @classmethod
    def of(cls, answer: Answer) -> Usage:
        """An answer's."""
        read, written = answer.usage["prompt_tokens"], answer.usage["completion_tokens"]
        return cls(prompt_tokens=read, completion_tokens=written, total_tokens=read + written)


class AnswerDocument(BaseModel):
    """A document with what is known of it. `id` is the store's, or what the request called it."""

    rank: int
    id: str
    source: str
    title: str
    text: str
    section: str
    place: str
    features: dict[str, float]
    relevance_probability: float
    used: bool


class AnswerFacts(BaseModel):
    """The field `r2ag` of a response: why the answer is as it is."""

    question: str = Field(description="As it was asked of the documents: it stands alone.")
    abstained: bool
    citations: list[int] = Field(description="Ranks of the documents that bear the answer out.")
    documents: list[AnswerDocument]
    shortened: int
    timings_ms: dict[str, float]
    models: dict[str, str]
    has_attention: bool = Field(description="Whether POST /r2ag/attention can say where the answer looked.")


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


Share = Annotated[float, AfterValidator(lambda share: round(share, 5))]


class AttentionResponse(BaseModel):
    """Where the LLM looks as it begins its answer: a row a layer, and in it a share for each document of `ranks`."""

    ranks: list[int] = Field(description="Documents that the LLM reads; none where it is not asked.")
    anchors: list[list[Share]] = Field(description="Attention to what it is told of each document.")
    documents: list[list[Share]] = Field(description="Attention to each document's text.")
