"""LangChain: a retriever, a document compressor and a chat model. Needs the extra `langchain`.

retriever = R2AGRetriever(pipeline=pipeline)
R2AGChatModel(pipeline=pipeline).invoke("Who built the first bridge?")
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

from langchain_core.callbacks import (
    AsyncCallbackManagerForLLMRun,
    CallbackManagerForLLMRun,
    CallbackManagerForRetrieverRun,
    Callbacks,
)
from langchain_core.documents import BaseDocumentCompressor
from langchain_core.documents import Document as LangChainDocument
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict, Field

from r2ag.answering import streaming
from r2ag.integrations import shared
from r2ag.io.as_dict import answer_fields, relevance_fields
from r2ag.pipeline import DEFAULT_NEW_TOKENS, Pipeline
from r2ag.types import Answer, Document

_ROLES = {"human": "user", "ai": "assistant"}


class R2AGRetriever(BaseRetriever):
    """What a pipeline finds in its documents or store, in its finder's order.

    Each document's metadata has `source`, `title`, `section` and `place`, the calibrated `relevance_probability` and
    the `features` behind it.

    Attributes:
        k: how many documents to find; None is the pipeline's default.

    Raises:
        InputError: when asked, the question or k can't be used, or there is nothing to search.
    """

    pipeline: Pipeline
    k: int | None = None

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[LangChainDocument]:
        return [
            LangChainDocument(
                scored.document.text, metadata=shared.metadata_of(scored.document) | relevance_fields(scored)
            )
            for scored in shared.score(self.pipeline, query, k=self.k)
        ]


class R2AGCompressor(BaseDocumentCompressor):
    """Puts documents in order of the calibrated probability that they are relevant, and leaves out the others.

    It is a reranker whose scores mean the same for every question: metadata gets `relevance_probability` and
    `features`. Pass documents in their retriever's order, which features depend on.

    Attributes:
        threshold: the least probability of a document that is kept; None keeps all.
        top_n: how many are kept at most; None keeps all.

    Raises:
        InputError: when asked, the question can't be used, or there are more documents than the adapter takes.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    pipeline: Pipeline
    threshold: float | None = Field(None, ge=0, le=1)
    top_n: int | None = Field(None, ge=1)

    def compress_documents(
        self, documents: Sequence[LangChainDocument], query: str, callbacks: Callbacks | None = None
    ) -> list[LangChainDocument]:
        """The documents that are kept, the most relevant first; copies, with more metadata."""
        kept = shared.rerank(self.pipeline, query, _documents(documents), self.threshold, self.top_n)
        found = [(documents[scored.rank - 1], relevance_fields(scored)) for scored in kept]
        return [one.model_copy(update={"metadata": one.metadata | fields}) for one, fields in found]


class R2AGChatModel(BaseChatModel):
    """Answers the last human message, from the pipeline's documents or from those of a call:

        R2AGChatModel(pipeline=pipeline).invoke("Who built it?", documents=retriever.invoke("Who built it?"))

    Messages before it make a follow-up stand alone, and a system message goes before the instruction. An answer's
    `response_metadata["r2ag"]` is what `r2ag ask --json` prints. Where nothing relevant was found, the answer says so.

    Attributes:
        k: how many documents to take; None is the pipeline's default, and of a call's own documents all.

    Raises:
        InputError: when asked, the question or the documents can't be used, or an option can't be honoured.
    """

    # A cache would recognise a question without the documents behind it.
    cache: bool = False
    pipeline: Pipeline
    k: int | None = None
    max_new_tokens: int = Field(DEFAULT_NEW_TOKENS, ge=1)

    @property
    def _llm_type(self) -> str:
        return "r2ag"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return _result(self._ask(messages, stop, **kwargs)(lambda piece: None))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return _result(await streaming.answer_async(self._ask(messages, stop, **kwargs)))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        with closing(streaming.stream(self._ask(messages, stop, **kwargs))) as items:
            for item in items:
                chunk = _chunk(item)
                if run_manager is not None:
                    run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk

    def _ask(
        self,
        messages: Sequence[BaseMessage],
        stop: Sequence[str] | None,
        documents: Sequence[LangChainDocument] | None = None,
        **unknown: Any,
    ) -> streaming.Ask:
        shared.refuse_options([*unknown, *(["stop"] if stop else [])])
        chat = shared.Chat.of((_ROLES.get(message.type, message.type), _text(message)) for message in messages)
        own = None if documents is None else _documents(documents)
        return shared.asking(self.pipeline, chat, own, self.k, self.max_new_tokens)


def _text(message: BaseMessage) -> str:
    blocks = message.content if isinstance(message.content, list) else []
    is_text = all(isinstance(block, str) or block.get("type") == "text" for block in blocks)
    shared.check_text_only(is_text or message.type != "human")
    return str(message.text)


def _documents(documents: Sequence[LangChainDocument]) -> tuple[Document, ...]:
    return tuple(shared.document_of(document.page_content, document.metadata) for document in documents)


def _result(answer: Answer) -> ChatResult:
    return ChatResult(generations=[ChatGeneration(message=AIMessage(answer.reply, **_about(answer)))])


def _chunk(item: str | Answer) -> ChatGenerationChunk:
    if isinstance(item, str):
        return ChatGenerationChunk(message=AIMessageChunk(item))
    return ChatGenerationChunk(message=AIMessageChunk("", chunk_position="last", **_about(item)))


def _about(answer: Answer) -> dict[str, Any]:
    read, written = answer.usage["prompt_tokens"], answer.usage["completion_tokens"]
    metadata = {"model_provider": "r2ag", "model_name": answer.models["llm"], "r2ag": answer_fields(answer)}
    return {
        "response_metadata": metadata,
        "usage_metadata": UsageMetadata(input_tokens=read, output_tokens=written, total_tokens=read + written),
    }
