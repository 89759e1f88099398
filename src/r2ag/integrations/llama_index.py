"""LlamaIndex: a node postprocessor, an LLM and a query engine. Needs the extra `llama-index`.

R2AGQueryEngine(pipeline, retriever=index.as_retriever()).query("Who built the first bridge?")
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing, closing
from typing import Any

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.llms.generic_utils import (
    astream_chat_response_to_completion_response,
    chat_response_to_completion_response,
    stream_chat_response_to_completion_response,
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
from r2ag.integrations.asking import Asking, Chat, refuse, text_of
from r2ag.integrations.conversion import document_of, metadata_of, most_relevant, score
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
        if not nodes:
            return []
        scored = score(self.pipeline, query_bundle.query_str, _documents(nodes))
        return [
            _with_relevance(nodes[one.rank - 1].node, one) for one in most_relevant(scored, self.cutoff, self.top_n)
        ]


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
        """What LlamaIndex wants to know of an LLM."""
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
        ask = self._ask(messages, kwargs)

        def responses() -> ChatResponseGen:
            response = None
            with closing(streaming.stream(ask)) as items:
                for item in items:
                    response = _next_response(item, response)
                    yield response

        return responses()

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        """As `stream_chat`, for an event loop."""
        ask = self._ask(messages, kwargs)

        async def responses() -> ChatResponseAsyncGen:
            response = None
            async with aclosing(streaming.stream_async(ask)) as items:
                async for item in items:
                    response = _next_response(item, response)
                    yield response

        return responses()

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """The answer to the prompt."""
        return chat_response_to_completion_response(self.chat([_user(prompt)], **kwargs))

    @llm_completion_callback()
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """As `complete`, for an event loop."""
        return chat_response_to_completion_response(await self.achat([_user(prompt)], **kwargs))

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        """As `complete`, as it is written."""
        return stream_chat_response_to_completion_response(self.stream_chat([_user(prompt)], **kwargs))

    @llm_completion_callback()
    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseAsyncGen:
        """As `stream_complete`, for an event loop."""
        return astream_chat_response_to_completion_response(await self.astream_chat([_user(prompt)], **kwargs))

    def _ask(self, messages: Sequence[ChatMessage], options: dict[str, Any]) -> streaming.Ask:
        refuse(options)
        chat = Chat.of((message.role.value, _text(message)) for message in messages)
        asking = Asking(self.pipeline, self.k, self.max_new_tokens)
        return lambda on_text: asking(chat, None, on_text)


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
        self._retriever = retriever
        self._asking = Asking(pipeline, k, max_new_tokens)

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
        return lambda on_text: self._asking(Chat(query.query_str), documents, on_text)


def _user(prompt: str) -> ChatMessage:
    return ChatMessage(prompt, role=MessageRole.USER)


def _text(message: ChatMessage) -> str:
    if message.role == MessageRole.USER and not all(isinstance(block, TextBlock) for block in message.blocks):
        raise InputError("A message holds more than text, and R²AG reads text alone; leave the rest out.")
    return message.content or ""


def _documents(nodes: Sequence[NodeWithScore]) -> tuple[Document, ...]:
    return tuple(document_of(node.node.get_content(), node.node.metadata) for node in nodes)


def _with_relevance(node: BaseNode, scored: ScoredDocument) -> NodeWithScore:
    """A copy, since an index holds the node itself; figures of one query are nothing for its embeddings or prompts."""
    relevance = relevance_fields(scored)
    changes = {
        "metadata": node.metadata | relevance,
        "excluded_llm_metadata_keys": [*node.excluded_llm_metadata_keys, *relevance],
        "excluded_embed_metadata_keys": [*node.excluded_embed_metadata_keys, *relevance],
    }
    return NodeWithScore(node=node.model_copy(update=changes), score=scored.relevance_probability)


def _node(document: Document) -> TextNode:
    return TextNode(text=document.text, metadata=metadata_of(document))


def _response(answer: Answer) -> ChatResponse:
    message = ChatMessage(text_of(answer), role=MessageRole.ASSISTANT)
    return ChatResponse(message=message, delta="", raw=answer_fields(answer))


def _next_response(item: str | Answer, before: ChatResponse | None) -> ChatResponse:
    """Of a stream: what is written so far, and its last piece."""
    if isinstance(item, Answer):
        return _response(item)
    written = "" if before is None else before.message.content or ""
    return ChatResponse(message=ChatMessage(written + item, role=MessageRole.ASSISTANT), delta=item)


def _query_response(answer: Answer, found: Sequence[NodeWithScore] | None) -> Response:
    nodes = [_node(one.document) if found is None else found[one.rank - 1].node for one in answer.documents]
    sources = [_with_relevance(node, one) for node, one in zip(nodes, answer.documents, strict=True)]
    return Response(text_of(answer), source_nodes=sources, metadata=answer_fields(answer))
