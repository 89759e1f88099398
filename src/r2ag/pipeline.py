"""The object that people use: find, describe, assess, read, and say how sure one may be.

pipeline = Pipeline.from_pretrained()
pipeline.add(read_documents([Path("notes/")], pipeline.encoder.count_tokens, pipeline.encoder.passage_tokens))
print(pipeline.ask("Which metal do the bridges use?").text)
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from r2ag.adapter.adapter import Adapter
from r2ag.adapter.loading import PRETRAINED, load_adapted, load_encoder
from r2ag.answering import streaming
from r2ag.answering.answers import AnswerBuilder, Retrieved, Selection
from r2ag.answering.explain import Explanation, explain
from r2ag.answering.follow_ups import NEW_TOKENS, REWRITE, Exchange, FollowUp
from r2ag.answering.reader import NewEngine, Reader, Reading
from r2ag.encoder.encoder import FeatureEncoder
from r2ag.encoder.probe import Probe
from r2ag.engines.transformers import TransformersEngine
from r2ag.errors import InputError
from r2ag.method.calibration import keep_relevant
from r2ag.method.prompting import Turn, check_question
from r2ag.method.templates import plain_template
from r2ag.retrieval.held import HeldDocuments
from r2ag.types import Answer, Document, RankedList, as_documents

if TYPE_CHECKING:
    import torch

    from r2ag.retrieval import Finder, Found
    from r2ag.store import AnyStore

DEFAULT_K = 5
DEFAULT_NEW_TOKENS = 64


class Pipeline:
    """Retrieval, R²-Former and LLM as one; holds documents in memory, or asks a store or another finder for them.

    Threads may share one. Its models do one thing at a time, because a tokenizer that truncates can't be used by two
    threads at once, and two generations in this process would only share the processors. An engine elsewhere writes
    the answers of several threads at the same time.

    A `with` block, or `close`, closes the connections to an engine elsewhere.
    """

    def __init__(self, reader: Reader, encoder: FeatureEncoder) -> None:
        self.reader = reader
        self.encoder = encoder
        self.held = HeldDocuments(encoder)
        self.finder: Finder | None = None
        self._answers = AnswerBuilder(reader.adapter, encoder.name)
        self._turn = RLock()  # reentrant, because on_text may call `ask`

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections to an engine elsewhere."""
        self.reader.engine.close()

    @classmethod
    def from_pretrained(
        cls,
        adapter: str | Path | None = None,
        llm: str | None = None,
        retriever: str | None = None,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
        threshold: float | None = None,
        engine_url: str | None = None,
        new_engine: NewEngine | None = None,
    ) -> Pipeline:
        """Loads an adapter (the shipped one by default) with the LLM and the encoder that it was trained with.

        Args:
            device: of the encoder, and of the LLM in this process.
            dtype: of the LLM in this process.
            threshold: the probability of relevance from which on a document counts; None takes the adapter's.
            engine_url: a vLLM server that generates, as in http://127.0.0.1:8001/v1; of the LLM, no more than the
                embedding layer is then loaded. None generates in this process.
            new_engine: makes the engine in this process; called with the LLM, the tokenizer and the end-of-turn token.
                None is TransformersEngine.

        Raises:
            InputError: one of them can't be had, or they don't belong together, or the threshold is no probability.
            EngineError: the engine can't be reached.
        """
        if engine_url is not None and new_engine is not None:
            raise InputError("engine_url and new_engine both name what generates; give one of them.")
        loaded = Adapter.from_pretrained(adapter or PRETRAINED).with_threshold(threshold)
        encoder = load_encoder(loaded, retriever, device)
        if engine_url is not None:
            return cls(Reader.at_engine(loaded, engine_url, llm), encoder)
        return cls(Reader(*load_adapted(loaded, llm, dtype, device), loaded, new_engine or TransformersEngine), encoder)

    def add(self, documents: Sequence[Document | str]) -> None:
        """Encodes documents and holds them for later questions; a text becomes a Document without a title.

        Raises:
            InputError: the pipeline was given a store or a finder, which it asks instead, or something is no document.
        """
        if self.finder is not None:
            raise InputError("This pipeline asks a store or a finder; add the documents there.")
        with self._turn:
            self.held.add(as_documents(documents))

    def use(self, source: AnyStore | Finder) -> None:
        """Answers later questions from a store, by its vectors, or from whatever a finder finds.

        Raises:
            InputError: it is neither, or another encoder made the store; a finder of its own can search that.
        """
        from r2ag.retrieval import DenseFinder
        from r2ag.store import AnyStore

        if isinstance(source, str) or not (isinstance(source, AnyStore) or callable(getattr(source, "find", None))):
            kind = type(source).__name__
            raise InputError(f"A pipeline uses a store (Store.open) or a finder, and {kind} is neither.")
        with self._turn:  # a store compares its encoder with this one, which encodes
            self.finder = DenseFinder(source, self.encoder) if isinstance(source, AnyStore) else source

    def find(
        self,
        question: str,
        documents: Sequence[Document | str] | None = None,
        vectors: np.ndarray | None = None,
        k: int | None = None,
        where: str | None = None,
    ) -> Retrieved:
        """The list for a question: what the finder finds, else the k nearest of the documents held, or the user's own
        list in its own order. A finder may find fewer than k, or none.

        Raises:
            InputError: the question, k or `where` can't be used, or there are no documents.
        """
        check_question(question)
        if where is not None and (documents is not None or self.finder is None):
            raise InputError("Only a store knows `where`; give the pipeline one, or leave it out.")
        count = self.check_k(k)
        if vectors is not None and documents is None:
            raise InputError("There are vectors without documents; give the documents, too.")
        if documents is not None:
            documents = as_documents(documents)
            limit = self.reader.adapter.config.former.max_documents
            if k is None and len(documents) > limit:
                raise InputError(
                    f"There are {len(documents)} documents and this adapter takes 1 to {limit}; give the best, or a k."
                )
            if not documents:
                raise InputError("There are no documents to answer from; give at least one.")
            if vectors is not None and len(vectors) != len(documents):
                raise InputError(f"There are {len(vectors)} vectors for {len(documents)} documents; give one for each.")
        with self._turn:
            started = time.perf_counter()
            if documents is not None:
                ranked = self.encoder.describe(question, documents[:k], None if vectors is None else vectors[:k])
            elif self.finder is not None:
                ranked = self._described(question, self.finder.find(question, count, where))
            else:
                ranked = self.held.nearest(question, count)
            return Retrieved(ranked, (time.perf_counter() - started) * 1000)

    def describe(self, question: str, found: Found, search_ms: float) -> Retrieved:
        """The list for a question, of what a finder found in so many milliseconds; the second half of `find`."""
        with self._turn:
            started = time.perf_counter()
            ranked = self._described(question, found)
            return Retrieved(ranked, search_ms + (time.perf_counter() - started) * 1000)

    def check_k(self, k: int | None) -> int:
        """How many documents to take; raises InputError where the adapter takes no k documents."""
        limit = self.reader.adapter.config.former.max_documents
        if k is not None and not 1 <= k <= limit:
            raise InputError(f"k is {k}; this adapter takes 1 to {limit} documents.")
        return k or min(DEFAULT_K, limit)

    def ask(
        self,
        question: str,
        documents: Sequence[Document | str] | None = None,
        vectors: np.ndarray | None = None,
        *,
        k: int | None = None,
        where: str | None = None,
        max_new_tokens: int = DEFAULT_NEW_TOKENS,
        abstain: bool = True,
        prune: bool = True,
        system: str | None = None,
        history: Sequence[Turn] = (),
        on_text: Callable[[str], None] | None = None,
    ) -> Answer:
        """Answers a question from documents.

        Args:
            documents: the user's own list, described in the order given (a text becomes a Document without a title);
                None asks the documents held, or the store.
            vectors: stored vectors of `documents` that this pipeline's encoder made, shape (len(documents), dimension).
            k: documents to take, at most the adapter's max_documents; None takes 5 that are found, or all of your own.
            where: a condition on a store's documents, as in r2ag.store.where.
            abstain: give no answer where no document's probability of relevance passes the threshold.
            prune: let the LLM read only documents that are worth it by the adapter's pruning threshold (at least one).
            max_new_tokens: the longest answer.
            system: a system prompt; it is untrusted text like any other and can write no chat token.
            history: messages that stand before the question, the earliest first.
            on_text: called with each piece of the answer as it is written.

        Raises:
            InputError: the question, the documents or k can't be used; says why.
        """
        return self.answer(
            self.find(question, documents, vectors, k, where),
            max_new_tokens=max_new_tokens,
            abstain=abstain,
            prune=prune,
            system=system,
            history=history,
            on_text=on_text,
        )

    def answer(
        self,
        retrieved: Retrieved,
        *,
        max_new_tokens: int = DEFAULT_NEW_TOKENS,
        abstain: bool = True,
        prune: bool = True,
        system: str | None = None,
        history: Sequence[Turn] = (),
        on_text: Callable[[str], None] | None = None,
    ) -> Answer:
        """Answers from what `find` found; the options are those of `ask`."""
        with self._turn:
            selection = self.assess(retrieved, abstain=abstain, prune=prune)
            if not selection.keep:
                return self.finish(selection, None)
            prompts, mixed = self.reader.mix(
                [retrieved.ranked],
                selection.assessment,
                max_new_tokens,
                keep=[selection.keep],
                history=_turns(system, history),
            )
        with self._generating:
            (reading,) = self.reader.generate(prompts, mixed, max_new_tokens, on_text=on_text)
        return self.finish(selection, reading)

    def assess(self, retrieved: Retrieved, *, abstain: bool = True, prune: bool = True) -> Selection:
        """What is worth reading of what `find` found; the options are those of `ask`. The first half of `answer`."""
        if not len(retrieved.ranked):
            return Selection(retrieved, None, ())
        with self._turn:
            assessment = self.reader.assess([retrieved.ranked])
        probabilities = assessment.probabilities[0]
        calibration = self.reader.adapter.config.calibration
        if abstain and max(probabilities) < calibration.threshold:
            return Selection(retrieved, assessment, ())
        keep = keep_relevant(probabilities, calibration.prune_threshold) if prune else range(len(retrieved.ranked))
        return Selection(retrieved, assessment, tuple(keep))

    def finish(self, selection: Selection, reading: Reading | None) -> Answer:
        """Builds the Answer; `reading` is what the LLM wrote, None if it was not asked. The second half of `answer`."""
        if selection.assessment is None:
            return self._answers.of_nothing(selection.retrieved)
        return self._answers.of_reading(selection.retrieved, selection.assessment, selection.keep, reading)

    def explain(
        self,
        retrieved: Retrieved,
        answer: Answer,
        *,
        max_new_tokens: int = DEFAULT_NEW_TOKENS,
        system: str | None = None,
        history: Sequence[Turn] = (),
    ) -> Explanation:
        """Says what each document's anchor did for an answer; see r2ag.answering.explain.

        Args:
            retrieved: what `answer` was given. The other options are those it was given, too.

        Raises:
            InputError: there is no answer to explain.
        """
        with self._turn:
            return explain(self.reader, retrieved.ranked, answer, max_new_tokens, _turns(system, history))

    def stand_alone(self, question: str, history: Sequence[Exchange]) -> str:
        """A follow-up as a question that needs no conversation.

        It is left as it is if it plainly stands alone; else the LLM rewrites it. If the rewriting fails a check, the
        question is joined to the one before.

        Args:
            history: what was asked and answered before, the latest last.
        """
        follow_up = FollowUp.of(question, history)
        if follow_up is None:
            return question
        with self._turn:
            mixed = follow_up.mix(self.reader)
        if mixed is None:
            return follow_up.settled("")
        with self._generating:
            (generation,) = self.reader.engine.generate(mixed, NEW_TOKENS, stop=REWRITE.stop)
        return follow_up.settled(generation.text)

    def ask_plain(
        self,
        retrieved: Retrieved,
        max_new_tokens: int = DEFAULT_NEW_TOKENS,
        *,
        system: str | None = None,
        history: Sequence[Turn] = (),
    ) -> str:
        """Plain RAG's answer to the same list by the same LLM, with the prompt that suits it best."""
        if not len(retrieved.ranked):
            return ""
        template = plain_template(self.reader.adapter.config.plain_prompt)
        turns = _turns(system, history)
        with self._turn:
            prompts, mixed = self.reader.mix([retrieved.ranked], None, max_new_tokens, template=template, history=turns)
        with self._generating:
            return self.reader.generate(prompts, mixed, max_new_tokens, template)[0].generation.text

    def stream(
        self, question: str, documents: Sequence[Document | str] | None = None, **options: Any
    ) -> Iterator[str | Answer]:
        """Pieces of the answer's text as they are written, then the Answer; options are those of `ask` but on_text.

        Closing the iterator stops the answer.
        """
        return streaming.stream(lambda on_text: self.ask(question, documents, on_text=on_text, **options))

    def stream_async(
        self, question: str, documents: Sequence[Document | str] | None = None, **options: Any
    ) -> AsyncGenerator[str | Answer]:
        """As `stream`, for an event loop, which stays free: the models work in a thread of their own."""
        return streaming.stream_async(lambda on_text: self.ask(question, documents, on_text=on_text, **options))

    async def ask_async(
        self, question: str, documents: Sequence[Document | str] | None = None, **options: Any
    ) -> Answer:
        """As `ask`, for an event loop; cancelling stops the answer. Options are those of `ask` but on_text.

        Calls may overlap; answers that are generated in this process are written one after the other.
        """
        return await streaming.answer_async(lambda on_text: self.ask(question, documents, on_text=on_text, **options))

    @property
    def _generating(self) -> AbstractContextManager[object]:
        return self._turn if self.reader.engine.has_llm else nullcontext()

    def _described(self, question: str, found: Found) -> RankedList:
        return self.encoder.describe(question, found.documents, self._own_vectors(found))

    @cached_property
    def _probe(self) -> Probe:
        return Probe.of(self.encoder)

    def _own_vectors(self, found: Found) -> np.ndarray | None:
        """A finder's vectors, if this pipeline's encoder made them."""
        return found.vectors if found.encoder is not None and self._probe.same_as(found.encoder) else None


def _turns(system: str | None, history: Sequence[Turn]) -> list[Turn]:
    return [*([Turn("system", system)] if system else []), *history]
