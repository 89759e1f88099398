"""Answers questions: the pipeline's own steps, each of them run on the model thread."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from dataclasses import asdict, dataclass, replace

from r2ag.answering.answers import Retrieved, Selection
from r2ag.answering.attention import last_token_attention
from r2ag.answering.follow_ups import NEW_TOKENS, REWRITE, Exchange, FollowUp
from r2ag.answering.reader import Reading
from r2ag.engines.base import AnswerWriter
from r2ag.engines.generation import Generation
from r2ag.engines.writing import Sampling, Writing
from r2ag.errors import EngineError
from r2ag.method.embeddings import MixedEmbeddings
from r2ag.method.prompting import Prompt, PromptTemplate, Turn
from r2ag.method.templates import plain_template
from r2ag.pipeline import Pipeline
from r2ag.retrieval import Found
from r2ag.server.errors import ApiError, store_errors
from r2ag.server.guard import Slots
from r2ag.server.model_thread import ModelThread
from r2ag.server.monitoring import Metrics, log_with_request
from r2ag.server.responses import AttentionResponse
from r2ag.server.searching import Searching
from r2ag.types import NOTHING_FOUND, Answer, Document

logger = logging.getLogger(__name__)
_UNSEARCHED = "The documents could not be searched."
_Searched = tuple[Found, float]
_Prepared = tuple[Selection, tuple[Prompt, MixedEmbeddings] | None]
"""What was retrieved, and the prompt with its embeddings; None if the LLM is not asked."""


@dataclass(frozen=True)
class AnswerRequest:
    """A client's question. `documents` are those that came with it; None asks the server's.

    is_plain: plain RAG answers. The LLM is told nothing of the documents; they are assessed all the same, since the
    response says what is known of them.
    """

    question: str
    sampling: Sampling
    history: tuple[Exchange, ...] = ()
    system: str = ""
    documents: tuple[Document, ...] | None = None
    k: int | None = None
    where: str | None = None
    abstain: bool = True
    prune: bool = True
    is_plain: bool = False


@dataclass(frozen=True)
class Answering:
    """Answers questions, several at once.

    Attributes:
        writer: writes the answers.
        searching: finds the documents; None if they are held in memory.
        log_text: log questions and answers, too.
    """

    pipeline: Pipeline
    thread: ModelThread
    writer: AnswerWriter
    searching: Searching | None
    slots: Slots
    metrics: Metrics
    log_text: bool

    async def answer(self, asked: AnswerRequest, on_text: Callable[[str], None] = lambda piece: None) -> Answer:
        """Answers a question. Cancelling stops the answer and frees its slot.

        Args:
            on_text: called with each piece as it is written, on the event loop.

        Raises:
            InputError: the question or its options can't be used.
            ApiError: there is no slot, no document, or the documents can't be searched.
            TimeoutError: the deadline has passed.
        """
        async with self.slots.one():
            return await self._answer(asked, on_text)

    async def stream(self, asked: AnswerRequest) -> AsyncGenerator[str | Answer]:
        """Yields text as it is written, then the answer; raises what `answer` raises. Closing cancels it."""
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        task = asyncio.create_task(self.answer(asked, pieces.put_nowait))
        task.add_done_callback(lambda _: pieces.put_nowait(None))
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
            yield await task
        finally:
            task.cancel()

    async def attend(self, asked: AnswerRequest) -> AttentionResponse:
        """Reads the prompt and says where the LLM looks as it begins its answer; raises what `answer` raises.

        An engine in another process does not expose this; the request is refused then.
        """
        if not self.pipeline.reader.engine.has_llm:
            sentence = "Where an answer looked can't be known here: vLLM, which writes the answers, does not expose it."
            raise ApiError(400, sentence)
        async with self.slots.one():
            searched = await self._search(asked.question, asked)
            return await asyncio.wrap_future(self.thread.run(lambda: self._attend(asked, searched)))

    async def _answer(self, asked: AnswerRequest, on_text: Callable[[str], None]) -> Answer:
        started = time.perf_counter()
        question, spent = await self._stand_alone(asked)
        searched = await self._search(question, asked)
        preparing = self.thread.run(lambda: self._prepare(question, asked, searched))
        selection, reads = await asyncio.wrap_future(preparing)
        reading = None
        if reads is None:
            on_text(NOTHING_FOUND)
        else:
            prompt, mixed = reads
            reading = Reading(await self._write(mixed, self._row(asked, started, on_text)), prompt)
        answer = self.pipeline.finish(selection, reading)
        answer = replace(answer, usage={kind: count + spent[kind] for kind, count in answer.usage.items()})
        self._note(answer)
        return answer

    def _template(self, asked: AnswerRequest) -> PromptTemplate:
        reader = self.pipeline.reader
        return plain_template(reader.adapter.config.plain_prompt) if asked.is_plain else reader.builder.template

    def _row(self, asked: AnswerRequest, started: float, on_text: Callable[[str], None]) -> Writing:
        """An answer to be written, whose pieces are handed to `on_text` on this event loop."""
        loop = asyncio.get_running_loop()
        is_first = True

        def hand_on(piece: str) -> None:
            nonlocal is_first
            if is_first:
                self.metrics.first_token_seconds.observe(time.perf_counter() - started)
                is_first = False
            on_text(piece)

        def post(piece: str) -> None:
            loop.call_soon_threadsafe(hand_on, piece)

        engine = self.pipeline.reader.engine
        stop = (*asked.sampling.stop, *filter(None, [self._template(asked).stop]))
        return Writing(replace(asked.sampling, stop=stop), engine.tokenizer, engine.stop_tokens, post)

    async def _stand_alone(self, asked: AnswerRequest) -> tuple[str, Counter[str]]:
        """Does what `follow_ups.stand_alone` does, in the same batch as answers; also returns the tokens it took."""
        follow_up = FollowUp.of(asked.question, asked.history)
        if follow_up is None:
            return asked.question, Counter()
        reader = self.pipeline.reader
        mixed = await asyncio.wrap_future(self.thread.run(lambda: follow_up.mix(reader)))
        if mixed is None:
            return follow_up.settled(""), Counter()
        sampling = Sampling(NEW_TOKENS, stop=(REWRITE.stop,))
        row = Writing(sampling, reader.engine.tokenizer, reader.engine.stop_tokens)
        written = await self._write(mixed, row)
        spent = Counter(prompt_tokens=mixed.mask.shape[-1], completion_tokens=written.completion_tokens)
        return follow_up.settled(written.text), spent

    async def _write(self, mixed: MixedEmbeddings, row: Writing) -> Generation:
        try:
            return await asyncio.wrap_future(self.writer.write(mixed, row))
        except EngineError as error:  # it names machines, which clients don't learn
            logger.error("The engine failed.", extra={"fields": {"reason": str(error)}})
            raise

    async def _search(self, question: str, asked: AnswerRequest) -> _Searched | None:
        """What the finder finds; None if there is no finder to ask."""
        if self.searching is None or asked.documents is not None:
            return None
        with store_errors(_UNSEARCHED, "searched"):
            return await self.searching.find(question, self.pipeline.check_k(asked.k), asked.where)

    def _prepare(self, question: str, asked: AnswerRequest, searched: _Searched | None) -> _Prepared:
        """Describes, assesses and builds the prompt; on the models' thread."""
        reader = self.pipeline.reader
        retrieved = self._retrieved(question, asked, searched)
        selection = self.pipeline.assess(retrieved, abstain=asked.abstain, prune=asked.prune)
        if not selection.keep:
            return selection, None
        (prompt,), mixed = reader.mix(
            [retrieved.ranked],
            None if asked.is_plain else selection.assessment,
            asked.sampling.max_new_tokens,
            keep=[selection.keep],
            template=self._template(asked),
            history=[Turn("system", asked.system)] if asked.system else [],
        )
        return selection, (prompt, mixed)

    def _retrieved(self, question: str, asked: AnswerRequest, searched: _Searched | None) -> Retrieved:
        if asked.documents is not None:
            return self.pipeline.find(question, asked.documents, k=asked.k)
        with store_errors(_UNSEARCHED, "searched"):
            if searched is None:
                return self.pipeline.find(question, k=asked.k)
            return self.pipeline.describe(question, *searched)

    def _attend(self, asked: AnswerRequest, searched: _Searched | None) -> AttentionResponse:
        selection, reads = self._prepare(asked.question, asked, searched)
        if reads is None:
            return AttentionResponse(ranks=[], anchors=[], documents=[])
        attention = last_token_attention(self.pipeline.reader.model.llm, *reads)
        ranks = [index + 1 for index in selection.keep]
        return AttentionResponse.model_validate({"ranks": ranks, **asdict(attention)})

    def _note(self, answer: Answer) -> None:
        for kind, count in answer.usage.items():
            self.metrics.tokens.labels(kind.removesuffix("_tokens")).inc(count)
        self.metrics.answers.labels("abstained" if answer.abstained else "given").inc()
        timings = {name: round(ms, 1) for name, ms in answer.timings_ms.items()}
        log_with_request(**answer.usage, abstained=answer.abstained, timings_ms=timings)
        if self.log_text:
            log_with_request(question=answer.question, answer=answer.reply)
