"""What the routes work with, made of one pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from r2ag.encoder.encoder import TextEncoder
from r2ag.engines.base import AnswerWriter
from r2ag.engines.batch import Batch
from r2ag.engines.vllm import VLLMEngine
from r2ag.engines.writing import Sampling
from r2ag.pipeline import Pipeline
from r2ag.server.answering import Answering, AnswerRequest
from r2ag.server.errors import ApiError
from r2ag.server.library import Library, document_id, uploads_folder
from r2ag.server.limits import Limits
from r2ag.server.metrics import Metrics
from r2ag.server.model_thread import ModelThread
from r2ag.server.places import Places
from r2ag.server.schemas.asking import (
    AnswerDocument,
    AnswerFacts,
    GivenDocument,
    Selection,
    answer_document,
)
from r2ag.server.searching import Searching, queued
from r2ag.store import AnyStore, read_where
from r2ag.types import Answer, Document


@dataclass(frozen=True)
class Service:
    """The server's parts; `searching` and `library` are None where the documents are held in memory, `elsewhere` where
    the LLM is in this process."""

    pipeline: Pipeline
    thread: ModelThread
    places: Places
    answering: Answering
    searching: Searching | None
    library: Library | None
    limits: Limits
    metrics: Metrics
    log_text: bool
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
            store: what the pipeline's finder searches, where documents may be added.
            store_encoder: the one that made its vectors; None is the pipeline's.
            uploads: the folder of documents that are added; None is the store's own.

        Raises:
            InputError: the LLM can't write several answers side by side.
        """
        limits, metrics = limits or Limits(), Metrics()
        engine = pipeline.reader.engine
        batch = Batch(pipeline.reader.model.llm) if engine.has_llm else None
        thread = ModelThread(batch, limits.batch)
        elsewhere = engine if isinstance(engine, VLLMEngine) else None
        places = Places(limits.places, limits.retry_after_s)
        library = None
        if store is not None:
            encoder = queued(store_encoder or pipeline.encoder, thread)
            library = Library(store, encoder, uploads or uploads_folder(store))
        searching = None
        if pipeline.finder is not None:
            is_empty = library.is_empty if library is not None else lambda: False
            searching = Searching(pipeline.finder, is_empty, thread, limits.batch)
        metrics.watch("r2ag_places_taken", "Requests at work or waiting.", lambda: places.taken)
        writer: AnswerWriter = elsewhere or thread
        metrics.watch("r2ag_answers_writing", "Answers that are being written.", lambda: writer.writing)
        answering = Answering(pipeline, thread, writer, searching, places, metrics, limits.deadline_s)
        return cls(pipeline, thread, places, answering, searching, library, limits, metrics, log_text, elsewhere)

    def start(self) -> None:
        """Begins to work."""
        self.thread.start()
        if self.library is not None:
            self.library.start()

    def close(self) -> None:
        """Finishes what runs; indexing and searching need the models' thread until their end."""
        if self.library is not None:
            self.library.close()
        if self.searching is not None:
            self.searching.close()
        self.thread.close()

    def asked(self, request: Selection, question: str, sampling: Sampling) -> AnswerRequest:
        """A request's question, checked.

        Raises:
            ApiError: it goes beyond the limits.
            InputError: its condition can't be read.
        """
        if sampling.max_new_tokens > self.limits.new_tokens:
            raise ApiError(
                400,
                f"max_tokens is {sampling.max_new_tokens}; this server writes at most {self.limits.new_tokens}.",
                "max_tokens",
            )
        if request.where is not None:
            if self.library is None or request.documents is not None:
                raise ApiError(400, "Only a store's documents can be chosen by a condition; leave where out.", "where")
            read_where(request.where)
        documents = None if request.documents is None else self.documents(request.documents)
        return AnswerRequest(
            question,
            sampling,
            documents=documents,
            k=request.k,
            where=request.where,
            abstain=request.abstain,
            prune=request.prune,
        )

    def check_system(self, text: str) -> None:
        """Refuses what system messages say where it is too long.

        Raises:
            ApiError: it is.
        """
        most = self.limits.document_characters
        if len(text) > most:
            raise ApiError(
                400, f"The system messages have {len(text):,} characters; shorten them to {most:,}.", "messages"
            )

    def documents(self, given: list[GivenDocument]) -> tuple[Document, ...]:
        """A request's own documents.

        Raises:
            ApiError: there are too many, or one is too long.
        """
        most = self.pipeline.reader.adapter.config.former.max_documents
        if len(given) > most:
            raise ApiError(
                400,
                f"There are {len(given):,} documents; send the best {most}, in your retriever's order.",
                "documents",
            )
        for number, document in enumerate(given):
            length = len(document.text) + len(document.title)
            if length > self.limits.document_characters:
                raise ApiError(
                    400,
                    f"The document has {length:,} characters; split it into passages, "
                    f"or send at most {self.limits.document_characters:,}.",
                    f"documents.{number}",
                )
        return tuple(document.document() for document in given)

    def facts(self, answer: Answer, are_given: bool) -> AnswerFacts:
        """The field `r2ag`.

        Args:
            are_given: the documents came with the request, and bear the client's own ids.
        """
        return AnswerFacts(
            question=answer.question,
            abstained=answer.abstained,
            citations=list(answer.citations),
            documents=self._answer_documents(answer, are_given),
            shortened=answer.shortened,
            timings_ms={name: round(ms, 2) for name, ms in answer.timings_ms.items()},
            models=dict(answer.models),
            has_attention=self.elsewhere is None,
        )

    def _answer_documents(self, answer: Answer, are_given: bool) -> list[AnswerDocument]:
        """Where the server's own files stand is for nobody else to know: of their paths the names alone are shown."""
        shown = []
        for scored in answer.documents:
            source = scored.document.source
            if are_given:
                shown.append(answer_document(scored, source, ""))
            else:
                shown.append(answer_document(scored, document_id(source), Path(source).name))
        return shown
