"""Haystack: a ranker and a generator for its pipelines. Needs the extra `haystack`.

models = R2AGModels()
pipeline = Pipeline()
pipeline.add_component("ranker", R2AGRanker(models, threshold=0.3))
pipeline.add_component("generator", R2AGGenerator(models))
pipeline.connect("ranker.documents", "generator.documents")
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Self

from haystack import Document as HaystackDocument
from haystack import component, default_from_dict, default_to_dict
from haystack.dataclasses import ChatMessage, StreamingChunk
from haystack.utils import deserialize_callable, serialize_callable

from r2ag.integrations.shared import Chat, asking, check_text_only, document_of, rerank
from r2ag.io.as_dict import answer_fields, relevance_fields
from r2ag.pipeline import DEFAULT_NEW_TOKENS, Pipeline
from r2ag.types import Document


@dataclass(frozen=True)
class R2AGModels:
    """Names of the models. Components with the same object share the models, which are loaded at first use.

    Attributes:
        adapter: as Pipeline.from_pretrained takes it; None is the shipped one.
        llm: None is the one that the adapter names.
        retriever: the same.
    """

    adapter: str | None = None
    llm: str | None = None
    retriever: str | None = None

    @cached_property
    def pipeline(self) -> Pipeline:
        """The models, loaded.

        Raises:
            InputError: one of them can't be had, or they don't belong together.
        """
        return Pipeline.from_pretrained(self.adapter, self.llm, self.retriever)


class _WithModels:
    """Loads and saves the models of a component."""

    models: R2AGModels

    def warm_up(self) -> None:
        """Loads the models."""
        _ = self.models.pipeline

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Loads a saved component. Haystack reads `data` more than once, so it must not change."""
        parameters = data.get("init_parameters", {})
        objects: dict[str, Any] = {"models": R2AGModels(**parameters.get("models") or {})}
        if (callback := parameters.get("streaming_callback")) is not None:
            objects["streaming_callback"] = deserialize_callable(callback)
        loaded: Self = default_from_dict(cls, data | {"init_parameters": parameters | objects})
        return loaded

    def _saved(self, **parameters: Any) -> dict[str, Any]:
        saved: dict[str, Any] = default_to_dict(self, models=asdict(self.models), **parameters)
        return saved


@component
class R2AGRanker(_WithModels):
    """Puts documents in order of the calibrated probability that they are relevant, and leaves out the others.

    The probability is each document's new score; its meta gets it too, as `relevance_probability`, and the `features`
    behind it. Pass documents in their retriever's order, which features depend on.

    Args:
        models: None is the shipped adapter with its models.
        threshold: the least probability of a document that is kept; None keeps all.
        top_k: how many are kept at most; None keeps all.

    Raises:
        ValueError: the threshold is no probability, or top_k is not positive.
    """

    def __init__(
        self, models: R2AGModels | None = None, threshold: float | None = None, top_k: int | None = None
    ) -> None:
        if threshold is not None and not 0 <= threshold <= 1:
            raise ValueError(f"threshold is {threshold}; it must be a probability, from 0 to 1.")
        _check_positive("top_k", top_k)
        self.models = models or R2AGModels()
        self.threshold = threshold
        self.top_k = top_k

    def to_dict(self) -> dict[str, Any]:
        """The ranker as Haystack saves it."""
        return self._saved(threshold=self.threshold, top_k=self.top_k)

    @component.output_types(documents=list[HaystackDocument])
    def run(
        self, query: str, documents: list[HaystackDocument], top_k: int | None = None
    ) -> dict[str, list[HaystackDocument]]:
        """The documents that are kept, the most relevant first.

        Args:
            top_k: in place of the ranker's own.

        Raises:
            InputError: the query can't be used, or there are more documents than the adapter takes.
            ValueError: top_k is not positive.
        """
        _check_positive("top_k", top_k)
        most = top_k or self.top_k
        kept = []
        for one in rerank(self.models.pipeline, query, _documents(documents), self.threshold, most):
            original = documents[one.rank - 1]
            meta = original.meta | relevance_fields(one)
            kept.append(replace(original, score=one.relevance_probability, meta=meta))
        return {"documents": kept}


@component
class R2AGGenerator(_WithModels):
    """Answers the last user message from documents.

    Messages before it make a follow-up stand alone, and a system message goes before the instruction. The meta of a
    reply has the `model`, its `usage`, and in `r2ag` what `r2ag ask --json` prints. Where nothing relevant was found,
    the reply says so.

    Args:
        models: None is the shipped adapter with its models.
        max_new_tokens: the longest answer.
        streaming_callback: called with each piece of an answer as it is written.

    Raises:
        ValueError: max_new_tokens is not positive.
    """

    def __init__(
        self,
        models: R2AGModels | None = None,
        max_new_tokens: int = DEFAULT_NEW_TOKENS,
        streaming_callback: Callable[[StreamingChunk], None] | None = None,
    ) -> None:
        _check_positive("max_new_tokens", max_new_tokens)
        self.models = models or R2AGModels()
        self.max_new_tokens = max_new_tokens
        self.streaming_callback = streaming_callback

    def to_dict(self) -> dict[str, Any]:
        """The generator as Haystack saves it."""
        callback = None if self.streaming_callback is None else serialize_callable(self.streaming_callback)
        return self._saved(max_new_tokens=self.max_new_tokens, streaming_callback=callback)

    @component.output_types(replies=list[ChatMessage])
    def run(
        self,
        messages: list[ChatMessage] | str,
        documents: list[HaystackDocument],
        streaming_callback: Callable[[StreamingChunk], None] | None = None,
    ) -> dict[str, list[ChatMessage]]:
        """One reply.

        Args:
            messages: whose last user message is the question; or the question alone.
            documents: in their retriever's order; without any, the reply says that nothing was found.
            streaming_callback: in place of the generator's own.

        Raises:
            InputError: the question or the documents can't be used.
        """
        said = [("user", messages)] if isinstance(messages, str) else [(one.role.value, _text(one)) for one in messages]
        ask = asking(self.models.pipeline, Chat.of(said), _documents(documents), None, self.max_new_tokens)
        callback = streaming_callback or self.streaming_callback

        def on_text(piece: str) -> None:
            if callback is not None:
                callback(StreamingChunk(piece))

        answer = ask(on_text)
        about = {"model": answer.models["llm"], "usage": dict(answer.usage), "finish_reason": answer.finish_reason}
        return {"replies": [ChatMessage.from_assistant(answer.reply, meta={**about, "r2ag": answer_fields(answer)})]}


def _check_positive(name: str, value: int | None) -> None:
    if value is not None and value < 1:
        raise ValueError(f"{name} is {value}; it must be 1 or more.")


def _documents(documents: Sequence[HaystackDocument]) -> tuple[Document, ...]:
    return tuple(document_of(document.content, document.meta) for document in documents)


def _text(message: ChatMessage) -> str:
    check_text_only(not (message.images or message.files))
    return "\n".join(message.texts)
