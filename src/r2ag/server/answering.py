"""From a question to its answer: the library's own steps, with the models' thread doing the work of each."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from r2ag.answering.answers import Retrieved, Selection
from r2ag.answering.attention import Attention, last_token_attention
from r2ag.answering.follow_ups import NEW_TOKENS, REWRITE, Exchange, FollowUp
from r2ag.answering.reader import Assessment, Reading
from r2ag.engines.base import AnswerWriter
from r2ag.engines.generation import Generation
from r2ag.engines.writing import Sampling, Writing
from r2ag.errors import EngineError, InputError
from r2ag.method.embeddings import MixedEmbeddings
from r2ag.method.prompting import Prompt, PromptTemplate, Turn, check_question
from r2ag.method.templates import plain_template
from r2ag.pipeline import Pipeline
from r2ag.retrieval import Found
from r2ag.server.errors import ApiError, engine_error
from r2ag.server.log import current_request
from r2ag.server.metrics import Metrics
from r2ag.server.model_thread import ModelThread
from r2ag.server.places import Places
from r2ag.server.searching import Searching
from r2ag.types import NOTHING_FOUND, Answer, Document, FinishReason

logger = logging.getLogger(__name__)
_Searched = tuple[Found, float]


@dataclass(frozen=True)
class AnswerRequest:
    """A question as a client asks it; `documents` are its own, None asks the server's.

    is_plain: by plain RAG, which reads all documents, is told nothing of them and never abstains.
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
class ServedAnswer:
    """An answer as a client gets it; `text` is the sentence that says so where it abstains."""

    answer: Answer
    text: str

    @property
    def finish_reason(self) -> FinishReason:
        """Why it ended, in OpenAI's words."""
        return self.answer.finish_reason


@dataclass(frozen=True)
class ServedAttention:
    """What an answer's first token was chosen by.

    ranks: of the documents that were read, in their order; attention: to them, None where the LLM was not asked.
    """

    ranks: tuple[int, ...]
    attention: Attention | None


@dataclass(frozen=True)
class _Prepared:
    """What the LLM is to read; nothing where it is not asked."""

    selection: Selection
    template: PromptTemplate
    prompt: Prompt | None = None
    mixed: MixedEmbeddings | None = None


class Answering:
    """Answers questions, several at once.

    Args:
        writer: writes the answers.
        searching: finds the documents; None where they are held in memory. All else is the thread's.
        deadline_s: seconds from a question to the end of its answer.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        thread: ModelThread,
        writer: AnswerWriter,
        searching: Searching | None,
        places: Places,
        metrics: Metrics,
        deadline_s: float,
    ) -> None:
        self._pipeline = pipeline
        self._thread = thread
        self._writer = writer
        self._searching = searching
        self._places = places
        self._metrics = metrics
        self._deadline_s = deadline_s

    async def answer(self, asked: AnswerRequest, on_text: Callable[[str], None] = lambda piece: None) -> ServedAnswer:
        """The answer. Cancelling gives it up and frees its place.

        Args:
            on_text: called with each piece as it is written, on the event loop.

        Raises:
            InputError: the question or its options can't be used.
            ApiError: there is no place, no document, or the documents can't be searched.
            TimeoutError: the deadline has passed.
        """
        with self._places.one():
            async with asyncio.timeout(self._deadline_s):
                return await self._answer(asked, on_text)

    async def stream(self, asked: AnswerRequest) -> AsyncGenerator[str | ServedAnswer]:
        """Pieces of text as they are written, then the whole; raises what `answer` raises. Closing gives it up."""
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        task = asyncio.create_task(self.answer(asked, pieces.put_nowait))
        task.add_done_callback(lambda _: pieces.put_nowait(None))
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
            yield await task
        finally:
            task.cancel()

    async def attend(self, asked: AnswerRequest) -> ServedAttention:
        """Where the LLM looks as it begins its answer; it costs reading the prompt, and raises what `answer` raises.

        With an engine elsewhere that can't be known, and is refused.
        """
        if not self._pipeline.reader.engine.has_llm:
            raise ApiError(
                400, "Where an answer looked can't be known here: vLLM, which writes the answers, tells none."
            )
        check_question(asked.question)
        self._pipeline.check_k(asked.k)
        with self._places.one():
            async with asyncio.timeout(self._deadline_s):
                searched = await self._search(asked.question, asked)
                return await asyncio.wrap_future(self._thread.run(lambda: self._attend(asked, searched)))

    async def _answer(self, asked: AnswerRequest, on_text: Callable[[str], None]) -> ServedAnswer:
        started = time.perf_counter()
        check_question(asked.question)
        self._pipeline.check_k(asked.k)
        question, spent = await self._stand_alone(asked)
        searched = await self._search(question, asked)
        prepared = await asyncio.wrap_future(self._thread.run(lambda: self._prepare(question, asked, searched)))
        if prepared.prompt is None or prepared.mixed is None:
            on_text(NOTHING_FOUND)
            answer = _with_usage(self._pipeline.finish(prepared.selection, None), spent)
            return self._noted(ServedAnswer(answer, NOTHING_FOUND))
        loop = asyncio.get_running_loop()
        is_first = True

        def hand_on(piece: str) -> None:
            nonlocal is_first
            if is_first:
                self._metrics.first_token_seconds.observe(time.perf_counter() - started)
                is_first = False
            on_text(piece)

        def post(piece: str) -> None:
            loop.call_soon_threadsafe(hand_on, piece)

        engine = self._pipeline.reader.engine
        stop = prepared.template.stop
        row = Writing(
            replace(asked.sampling, stop=(*asked.sampling.stop, *([stop] if stop else []))),
            engine.tokenizer,
            engine.stop_tokens,
            post,
        )
        generation = await self._write(prepared.mixed, row)
        answer = _with_usage(self._pipeline.finish(prepared.selection, Reading(generation, prepared.prompt)), spent)
        return self._noted(ServedAnswer(answer, answer.text))

    async def _stand_alone(self, asked: AnswerRequest) -> tuple[str, Counter[str]]:
        """The question as `conversation.stand_alone` makes it, written beside other answers; and the tokens it took."""
        follow_up = FollowUp.of(asked.question, asked.history)
        if follow_up is None:
            return asked.question, Counter()
        reader = self._pipeline.reader
        mixed = await asyncio.wrap_future(self._thread.run(lambda: follow_up.mix(reader)))
        if mixed is None:
            return follow_up.settled(""), Counter()
        sampling = Sampling(NEW_TOKENS, stop=(REWRITE.stop,))
        row = Writing(sampling, reader.engine.tokenizer, reader.engine.stop_tokens)
        written = await self._write(mixed, row)
        spent = Counter(prompt_tokens=mixed.mask.shape[-1], completion_tokens=written.completion_tokens)
        return follow_up.settled(written.text), spent

    async def _write(self, mixed: MixedEmbeddings, row: Writing) -> Generation:
        try:
            return await asyncio.wrap_future(self._writer.write(mixed, row))
        except EngineError as error:  # it names machines that are for nobody else to know
            logger.error("The engine failed.", extra={"fields": {"reason": str(error)}})
            raise engine_error(error) from None

    async def _search(self, question: str, asked: AnswerRequest) -> _Searched | None:
        """What the finder finds; None where there is none to ask."""
        if self._searching is None or asked.documents is not None:
            return None
        with _for_the_log_alone():
            return await self._searching.find(question, self._pipeline.check_k(asked.k), asked.where)

    def _prepare(self, question: str, asked: AnswerRequest, searched: _Searched | None) -> _Prepared:
        """Describes, assesses and builds the prompt; on the models' thread."""
        if asked.documents is not None:
            found = self._pipeline.find(question, asked.documents, k=asked.k)
        else:
            with _for_the_log_alone():
                found = self._found(question, asked, searched)
        return self._prepare_plain(found, asked) if asked.is_plain else self._prepare_r2ag(found, asked)

    def _found(self, question: str, asked: AnswerRequest, searched: _Searched | None) -> Retrieved:
        if searched is None:
            return self._pipeline.find(question, k=asked.k)
        return self._pipeline.describe(question, *searched)

    def _prepare_r2ag(self, found: Retrieved, asked: AnswerRequest) -> _Prepared:
        selection = self._pipeline.assess(found, abstain=asked.abstain, prune=asked.prune)
        return self._mixed(selection, selection.assessment, self._pipeline.reader.builder.template, asked)

    def _prepare_plain(self, found: Retrieved, asked: AnswerRequest) -> _Prepared:
        """The documents are selection all the same, for the answer says what is known of them."""
        selection = self._pipeline.assess(found, abstain=False, prune=False)
        return self._mixed(selection, None, plain_template(self._pipeline.reader.adapter.config.plain_prompt), asked)

    def _mixed(
        self, selection: Selection, told: Assessment | None, template: PromptTemplate, asked: AnswerRequest
    ) -> _Prepared:
        """The prompt over what is worth reading; `told` is what the LLM learns of it besides the text."""
        if not selection.keep:
            return _Prepared(selection, template)
        turns = [Turn("system", asked.system)] if asked.system else []
        (prompt,), mixed = self._pipeline.reader.mix(
            [selection.retrieved.ranked],
            told,
            asked.sampling.max_new_tokens,
            keep=[selection.keep],
            template=template,
            history=turns,
        )
        return _Prepared(selection, template, prompt, mixed)

    def _attend(self, asked: AnswerRequest, searched: _Searched | None) -> ServedAttention:
        prepared = self._prepare(asked.question, asked, searched)
        if prepared.prompt is None or prepared.mixed is None:
            return ServedAttention((), None)
        attention = last_token_attention(self._pipeline.reader.model.llm, prepared.prompt, prepared.mixed)
        return ServedAttention(tuple(index + 1 for index in prepared.selection.keep), attention)

    def _noted(self, answered: ServedAnswer) -> ServedAnswer:
        answer = answered.answer
        for kind, count in answer.usage.items():
            self._metrics.tokens.labels(kind.removesuffix("_tokens")).inc(count)
        self._metrics.answers.labels("abstained" if answer.abstained else "given").inc()
        timings = {name: round(ms, 1) for name, ms in answer.timings_ms.items()}
        current_request().fields |= {**answer.usage, "abstained": answer.abstained, "timings_ms": timings}
        return answered


def log_texts(wanted: bool, answered: ServedAnswer) -> None:
    """Adds question and answer to the request's line, where that is wanted."""
    if wanted:
        current_request().fields |= {"question": answered.answer.question, "answer": answered.text}


@contextmanager
def _for_the_log_alone() -> Iterator[None]:
    """What the client gave has been checked: what is still wrong is the server's, and may name folders and machines."""
    try:
        yield
    except InputError as error:
        logger.error("The documents could not be searched.", extra={"fields": {"reason": str(error)}})
        raise ApiError(503, "The documents can't be searched now; the server's log says why.") from None


def _with_usage(answer: Answer, further: Counter[str]) -> Answer:
    return replace(answer, usage={kind: count + further[kind] for kind, count in answer.usage.items()})
