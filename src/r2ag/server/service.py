"""What the routes use: a pipeline and the server's parts around it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from r2ag.answering.follow_ups import Exchange
from r2ag.encoder.encoder import TextEncoder
from r2ag.engines.base import AnswerWriter
from r2ag.engines.batch import Batch
from r2ag.engines.transformers import TransformersEngine
from r2ag.engines.vllm import VLLMEngine
from r2ag.engines.writing import Sampling
from r2ag.errors import InputError
from r2ag.io.as_dict import answer_fields
from r2ag.method.prompting import check_question
from r2ag.pipeline import Pipeline
from r2ag.server.answering import Answering, AnswerRequest
from r2ag.server.errors import ApiError
from r2ag.server.guard import Limits, Slots
from r2ag.server.library import Library, document_id, uploads_folder
from r2ag.server.model_thread import ModelThread
from r2ag.server.monitoring import Metrics
from r2ag.server.requests import GivenDocument, R2AGOptions
from r2ag.server.responses import AnswerFacts
from r2ag.server.searching import Searching, queued
from r2ag.store import AnyStore, read_where
from r2ag.types import Answer, Document


@dataclass(frozen=True)
class Service:
    """The server's parts. `searching` and `library` are None if the documents are held in memory; `elsewhere` is None
    if the LLM runs in this process."""

    pipeline: Pipeline
    thread: ModelThread
    slots: Slots
    answering: Answering
    searching: Searching | None
    library: Library | None
    limits: Limits
    metrics: Metrics
    elsewhere: VLLMEngine | None

    @classmethod
    def of(
        cls,
        pipeline: Pipeline,
        store: AnyStore | None = None,
        store_encoder: TextEncoder | None = None,
        limits: Limits | None = None,
        log_text: bool = False,
        uploads: Path | None = None,
    ) -> Service:
        """A service that answers as the pipeline does.

        Args:
            store: the one that the pipeline's finder searches; documents can be added to it.
            store_encoder: made the store's vectors; None is the pipeline's encoder.
            uploads: the folder for uploaded documents; None is the store's own.

        Raises:
            InputError: the LLM can't write several answers side by side, or the engine is not one of this package.
        """
        limits, metrics = limits or Limits(), Metrics()
        engine = pipeline.reader.engine
        # In this process the server's own batch writes the answers, past an engine's `generate`.
        if type(engine) is not TransformersEngine and not isinstance(engine, VLLMEngine):
            raise InputError(
                f"The server can't use this pipeline's engine, {type(engine).__name__}: it generates by itself or with "
                "vLLM; give it a pipeline without new_engine."
            )
        batch = Batch(pipeline.reader.model.llm) if engine.has_llm else None
        thread = ModelThread(batch, limits.batch)
        elsewhere = engine if isinstance(engine, VLLMEngine) else None
        slots = Slots(limits)
        library = None
        if store is not None:
            encoder = queued(store_encoder or pipeline.encoder, thread)
            library = Library(store, encoder, uploads or uploads_folder(store))
        searching = None
        if pipeline.finder is not None:
            is_empty = library.is_empty if library is not None else lambda: False
            searching = Searching(pipeline.finder, is_empty, thread, limits.batch)
        metrics.watch("r2ag_places_taken", "Requests at work or waiting.", lambda: slots.taken)
        writer: AnswerWriter = elsewhere or thread
        metrics.watch("r2ag_answers_writing", "Answers that are being written.", lambda: writer.writing)
        answering = Answering(pipeline, thread, writer, searching, slots, metrics, log_text)
        return cls(pipeline, thread, slots, answering, searching, library, limits, metrics, elsewhere)

    def start(self) -> None:
        """Starts the threads."""
        self.thread.start()
        if self.library is not None:
            self.library.start()

    def close(self) -> None:
        """Finishes running work; indexing and searching need the model thread until their end."""
        if self.library is not None:
            self.library.close()
        if self.searching is not None:
            self.searching.close()
        self.thread.close()

    def asked(
        self,
        request: R2AGOptions,
        question: str,
        sampling: Sampling,
        history: tuple[Exchange, ...] = (),
        system: str = "",
        is_plain: bool = False,
    ) -> AnswerRequest:
        """Checks a request for an answer.

        Raises:
            ApiError: it goes beyond the limits.
            InputError: the question or k can't be used, or the condition can't be read.
        """
        check_question(question)
        self.pipeline.check_k(request.k)
        most = self.limits.document_characters
        if len(system) > most:
            sentence = f"The system messages have {len(system):,} characters; shorten them to {most:,}."
            raise ApiError(400, sentence, "messages")
        if sampling.max_new_tokens > self.limits.new_tokens:
            sentence = f"max_tokens is {sampling.max_new_tokens}; this server writes at most {self.limits.new_tokens}."
            raise ApiError(400, sentence, "max_tokens")
        if request.where is not None:
            if self.library is None or request.documents is not None:
                raise ApiError(400, "Only a store's documents can be chosen by a condition; leave where out.", "where")
            read_where(request.where)
        documents = None if request.documents is None else self.documents(request.documents)
        return AnswerRequest(
            question,
            sampling,
            history,
            system,
            documents,
            request.k,
            request.where,
            request.abstain and not is_plain,
            request.prune and not is_plain,
            is_plain,
        )

    def documents(self, given: list[GivenDocument]) -> tuple[Document, ...]:
        """Checks and converts the documents of a request.

        Raises:
            ApiError: there are too many, or one is too long.
        """
        most = self.pipeline.reader.adapter.config.former.max_documents
        if len(given) > most:
            sentence = f"There are {len(given):,} documents; send the best {most}, in your retriever's order."
            raise ApiError(400, sentence, "documents")
        most = self.limits.document_characters
        for number, document in enumerate(given):
            length = len(document.text) + len(document.title)
            if length > most:
                sentence = f"The document has {length:,} characters; split it into passages, or send at most {most:,}."
                raise ApiError(400, sentence, f"documents.{number}")
        return tuple(document.document() for document in given)

    def facts(self, answer: Answer, are_given: bool) -> AnswerFacts:
        """The field `r2ag`.

        Args:
            are_given: the documents came with the request, with the client's own ids. Of the server's own files,
                clients see names and no paths.
        """
        fields = answer_fields(answer)
        for document in fields["documents"]:
            source = document["source"]
            shown = (source, "") if are_given else (document_id(source), Path(source).name)
            document["id"], document["source"] = shown
        fields["timings_ms"] = {name: round(ms, 2) for name, ms in answer.timings_ms.items()}
        return AnswerFacts(**fields, has_attention=self.elsewhere is None)
