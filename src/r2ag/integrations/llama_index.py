"""LlamaIndex: a node postprocessor, an LLM and a query engine. Needs the extra `llama-index`.

R2AGQueryEngine(pipeline, retriever=index.as_retriever()).query("Who built the first bridge?")
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing, closing
from typing import Any

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.llms.generic_utils import (
    achat_to_completion_decorator,
    astream_chat_to_completion_decorator,
    chat_to_completion_decorator,
    stream_chat_to_completion_decorator,
)
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    LLMMetadata,
    MessageRole,
    TextBlock,
)
from llama_index.core.base.response.schema import Response
from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.llm import LLM
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.prompts.mixin import PromptMixinType
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import BaseNode, NodeWithScore, QueryBundle, TextNode
from pydantic import Field

from r2ag.answering import streaming
from r2ag.errors import InputError
from r2ag.integrations import shared
from r2ag.io.as_dict import answer_fields, relevance_fields
from r2ag.pipeline import DEFAULT_NEW_TOKENS, Pipeline
from r2ag.types import Answer, Document, ScoredDocument


class R2AGPostprocessor(BaseNodePostprocessor):
    """Puts nodes in order of the calibrated probability that they are relevant, and leaves out the others.

    The probability is each node's new score; its metadata gets it too, as `relevance_probability`, and the `features`
    behind it, which no LLM or encoder is shown. Pass nodes in their retriever's order, which features depend on.

    Attributes:
        cutoff: the least probability of a node that is kept; None keeps all.
        top_n: how many are kept at most; None keeps all.

    Raises:
        InputError: when asked, there is no query or it can't be used, or there are more nodes than the adapter takes.
    """

    pipeline: Pipeline = Field(exclude=True)
    cutoff: float | None = Field(None, ge=0, le=1)
    top_n: int | None = Field(None, ge=1)

    @classmethod
    def class_name(cls) -> str:
        """See BaseComponent."""
        return "R2AGPostprocessor"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if query_bundle is None:
            raise InputError("Nodes are relevant to a query; pass one as query_str or query_bundle.")
        kept = shared.rerank(self.pipeline, query_bundle.query_str, _documents(nodes), self.cutoff, self.top_n)
        return [_with_relevance(nodes[scored.rank - 1].node, scored) for scored in kept]


class R2AGLLM(LLM):
    """Answers the last user message, or the prompt, from its pipeline's documents.

    Messages before it make a follow-up stand alone, and a system message goes before the instruction. A response's
    `raw` is what `r2ag ask --json` prints. To answer from an index's nodes take R2AGQueryEngine: the prompts that other
    query engines build hold the documents as text, which leaves R²AG none to describe.

    Attributes:
        k: how many documents to take; None is the pipeline's default.

    Raises:
        InputError: when asked, the question can't be used, there are no documents, or an option can't be honoured.
    """

    pipeline: Pipeline = Field(exclude=True)
    k: int | None = None
    max_new_tokens: int = Field(DEFAULT_NEW_TOKENS, ge=1)

    @classmethod
    def class_name(cls) -> str:
        """See BaseComponent."""
        return "R2AGLLM"

    @property
    def metadata(self) -> LLMMetadata:
        """The LLM's sizes and name."""
        return LLMMetadata(
            context_window=self.pipeline.reader.context_window,
            num_output=self.max_new_tokens,
            is_chat_model=True,
            model_name=self.pipeline.reader.adapter.config.llm.name,
        )

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """The answer to the last user message."""
        return _response(self._ask(messages, kwargs)(lambda piece: None))

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """As `chat`, for an event loop."""
        return _response(await streaming.answer_async(self._ask(messages, kwargs)))

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """As `chat`, as it is written."""
        return _responses(self._ask(messages, kwargs))

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        """As `stream_chat`, for an event loop."""
        return _responses_async(self._ask(messages, kwargs))

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """The answer to the prompt."""
        return chat_to_completion_decorator(self.chat)(prompt, **kwargs)

    @llm_completion_callback()
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """As `complete`, for an event loop."""
        return await achat_to_completion_decorator(self.achat)(prompt, **kwargs)

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        """As `complete`, as it is written."""
        return stream_chat_to_completion_decorator(self.stream_chat)(prompt, **kwargs)

    @llm_completion_callback()
    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseAsyncGen:
        """As `stream_complete`, for an event loop."""
        return await astream_chat_to_completion_decorator(self.astream_chat)(prompt, **kwargs)

    def _ask(self, messages: Sequence[ChatMessage], options: dict[str, Any]) -> streaming.Ask:
        shared.refuse_options(options)
        chat = shared.Chat.of((message.role.value, _text(message)) for message in messages)
        return shared.asking(self.pipeline, chat, None, self.k, self.max_new_tokens)


class R2AGQueryEngine(BaseQueryEngine):
    """Answers queries from a retriever's nodes, or from the pipeline's own documents.

    A response's `source_nodes` have calibrated probabilities as scores, and its `metadata` is what `r2ag ask --json`
    prints.

    Args:
        retriever: what finds nodes; None asks the pipeline.
        k: how many documents to take; None is the pipeline's default, and of a retriever's nodes all.

    Raises:
        InputError: when asked, the question or k can't be used, or there is nothing to search.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        retriever: BaseRetriever | None = None,
        k: int | None = None,
        max_new_tokens: int = DEFAULT_NEW_TOKENS,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        super().__init__(callback_manager)
        self._pipeline = pipeline
        self._retriever = retriever
        self._k = k
        self._max_new_tokens = max_new_tokens

    def _get_prompt_modules(self) -> PromptMixinType:
        return {}

    def _query(self, query_bundle: QueryBundle) -> Response:
        nodes = None if self._retriever is None else self._retriever.retrieve(query_bundle)
        return _query_response(self._ask(query_bundle, nodes)(lambda piece: None), nodes)

    async def _aquery(self, query_bundle: QueryBundle) -> Response:
        nodes = None if self._retriever is None else await self._retriever.aretrieve(query_bundle)
        return _query_response(await streaming.answer_async(self._ask(query_bundle, nodes)), nodes)

    def _ask(self, query: QueryBundle, nodes: Sequence[NodeWithScore] | None) -> streaming.Ask:
        documents = None if nodes is None else _documents(nodes)
        return shared.asking(self._pipeline, shared.Chat(query.query_str), documents, self._k, self._max_new_tokens)


def _text(message: ChatMessage) -> str:
    is_text = all(isinstance(block, TextBlock) for block in message.blocks)
    shared.check_text_only(is_text or message.role != MessageRole.USER)
    return message.content or ""


def _documents(nodes: Sequence[NodeWithScore]) -> tuple[Document, ...]:
    return tuple(shared.document_of(node.node.get_content(), node.node.metadata) for node in nodes)


def _with_relevance(node: BaseNode, scored: ScoredDocument) -> NodeWithScore:
    """A copy with relevance, which embeddings and prompts leave out; an index may hold the node itself."""
    relevance = relevance_fields(scored)
    changes = {
        "metadata": node.metadata | relevance,
        "excluded_llm_metadata_keys": [*node.excluded_llm_metadata_keys, *relevance],
        "excluded_embed_metadata_keys": [*node.excluded_embed_metadata_keys, *relevance],
    }
    return NodeWithScore(node=node.model_copy(update=changes), score=scored.relevance_probability)


def _response(answer: Answer) -> ChatResponse:
    message = ChatMessage(answer.reply, role=MessageRole.ASSISTANT)
    return ChatResponse(message=message, delta="", raw=answer_fields(answer))


def _responses(ask: streaming.Ask) -> ChatResponseGen:
    response = None
    with closing(streaming.stream(ask)) as items:
        for item in items:
            response = _next_response(item, response)
            yield response


async def _responses_async(ask: streaming.Ask) -> ChatResponseAsyncGen:
    response = None
    async with aclosing(streaming.stream_async(ask)) as items:
        async for item in items:
            response = _next_response(item, response)
            yield response


def _next_response(item: str | Answer, before: ChatResponse | None) -> ChatResponse:
    """The next response of a stream: the text so far, and its last piece."""
    if isinstance(item, Answer):
        return _response(item)
    written = "" if before is None else before.message.content or ""
    return ChatResponse(message=ChatMessage(written + item, role=MessageRole.ASSISTANT), delta=item)


def _query_response(answer: Answer, found: Sequence[NodeWithScore] | None) -> Response:
    sources = []
    for scored in answer.documents:
        document = scored.document
        own = TextNode(text=document.text, metadata=shared.metadata_of(document))
        sources.append(_with_relevance(own if found is None else found[scored.rank - 1].node, scored))
    return Response(answer.reply, source_nodes=sources, metadata=answer_fields(answer))
