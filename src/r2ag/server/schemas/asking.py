"""What /v1/chat/completions and /v1/completions have in common."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from r2ag.engines.writing import Sampling
from r2ag.pipeline import DEFAULT_NEW_TOKENS
from r2ag.types import Answer, Document, ScoredDocument

MODEL, PLAIN_MODEL, ENCODER_MODEL = "r2ag", "rag", "r2ag-encoder"

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
    """A request's part: no other fields, no numbers in quotation marks, no NaN."""

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


class Selection(Strict):
    """R²AG's own fields: what to answer from."""

    documents: list[AnyDocument] | None = Field(
        None, min_length=1, description="Documents to answer from, in place of the server's."
    )
    k: int | None = Field(None, ge=1, description="How many documents to take.")
    where: str | None = Field(None, max_length=2000, description="A condition on the store's documents.")
    abstain: bool = Field(True, description="Give no answer where no document passes for relevant.")
    prune: bool = Field(True, description="Let the LLM read only the documents that may matter.")


class AskingRequest(Selection):
    """Fields of both addresses besides R²AG's own; the first are OpenAI's, then those that are taken and ignored, then
    those whose only value here is to do nothing."""

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
        """What would change the answer is refused, not passed over."""
        name = str(info.field_name)
        if value in _HARMLESS or (name in ("n", "best_of") and value == 1):
            return None
        raise ValueError(f"{_REFUSALS[name]}; leave {name} out")

    def sampling(self, max_new_tokens: int | None) -> Sampling:
        """How the answer is to be written."""
        return Sampling(
            max_new_tokens=max_new_tokens or DEFAULT_NEW_TOKENS,
            temperature=float(self.temperature or 0.0),
            top_p=1.0 if self.top_p is None else float(self.top_p),
            seed=self.seed,
            stop=tuple(self.stop or ()),
        )


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


def answer_document(scored: ScoredDocument, id_: str, source: str) -> AnswerDocument:
    """A document as responses show it."""
    document = scored.document
    return AnswerDocument(
        rank=scored.rank,
        id=id_,
        source=source,
        title=document.title,
        text=document.text,
        section=document.section,
        place=document.place,
        features=dict(scored.features),
        relevance_probability=scored.relevance_probability,
        used=scored.used,
    )
