"""Plain RAG on refined documents: some of a list's documents, in another order, or parts of them.

The LLM of this process answers, or a server's as in rag=gpt-4o@https://host/v1. The server gets each prompt as one
message and counts the tokens itself.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from r2ag.answering.reader import Reader
from r2ag.encoder.encoder import FeatureEncoder
from r2ag.engines.chat_api import ChatAPI, Completion
from r2ag.evaluation.methods import Prediction, Spec
from r2ag.evaluation.methods.bench import Bench, described
from r2ag.method.prompting import PromptTemplate
from r2ag.method.templates import plain_template
from r2ag.types import Document, RankedList


@dataclass(frozen=True)
class Refinement:
    """What is read in place of a list's documents; `documents_read` counts those that it has any text of."""

    documents: tuple[Document, ...]
    documents_read: int


Refine = Callable[[RankedList], Refinement]
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")


@dataclass(frozen=True)
class LocalLLM:
    """An LLM in this process; the reader's prompt holds no slots."""

    reader: Reader
    max_new_tokens: int

    def answer(self, questions: Sequence[str], documents: Sequence[tuple[Document, ...]]) -> list[Completion]:
        """Answers from each question's documents, read as one batch."""
        # Plain RAG reads no vectors, and rewritten documents have none.
        none = np.zeros(0, np.float32)
        lists = [
            RankedList(q, read, none, np.zeros((len(read), 0), np.float32))
            for q, read in zip(questions, documents, strict=True)
        ]
        readings = self.reader.read(lists, None, self.max_new_tokens)
        return [Completion(r.generation.text, len(r.prompt), r.generation.completion_tokens) for r in readings]


@dataclass(frozen=True)
class ServerLLM:
    """An LLM of a server; one request after another."""

    api: ChatAPI
    template: PromptTemplate
    max_new_tokens: int

    def answer(self, questions: Sequence[str], documents: Sequence[tuple[Document, ...]]) -> list[Completion]:
        """Answers from each question's documents."""
        pairs = zip(questions, documents, strict=True)
        return [self.api.answer(self.template, question, read, self.max_new_tokens) for question, read in pairs]


@dataclass(frozen=True)
class Refined:
    """Refines each list and answers from the outcome. The time includes refining.

    An `encoder` describes the lists first.
    """

    name: str
    llm: LocalLLM | ServerLLM
    settings: Mapping[str, Any]
    refine: Refine
    encoder: FeatureEncoder | None = None

    def answer(self, lists: Sequence[RankedList]) -> list[Prediction]:
        """A list of which nothing is left is answered without documents."""
        lists = described(lists, self.encoder)
        started = time.perf_counter()
        refined = [self.refine(ranked) for ranked in lists]
        answers = self.llm.answer([ranked.question for ranked in lists], [one.documents for one in refined])
        seconds = (time.perf_counter() - started) / len(lists)
        return [
            Prediction(said.text, said.prompt_tokens, said.completion_tokens, seconds, one.documents_read)
            for said, one in zip(answers, refined, strict=True)
        ]


def refined_rag(
    spec: Spec,
    bench: Bench,
    refine: Refine,
    settings: Mapping[str, Any],
    template: PromptTemplate | None = None,
    encoder: FeatureEncoder | None = None,
) -> Refined:
    """By the base LLM or the server's that the specification names.

    Args:
        settings: what refining depends on, beside the specification.
        template: None takes the prompt family that training records chose.
        encoder: describes the lists before they are refined.

    Raises:
        InputError: the server's address can't be used.
    """
    template = template or chosen_template(bench)
    known = {"method": [spec.base, spec.argument], "template": asdict(template), **settings}
    llm: LocalLLM | ServerLLM
    if server := spec.server():
        model, url = server
        api = ChatAPI(url, model)
        known |= {"llm": api.name, "max_new_tokens": bench.max_new_tokens}
        llm = ServerLLM(api, template, bench.max_new_tokens)
    else:
        known |= bench.base_settings()
        llm = LocalLLM(bench.plain_reader(template), bench.max_new_tokens)
    return Refined(spec.name, llm, known, refine, encoder)


def chosen_template(bench: Bench) -> PromptTemplate:
    """Plain RAG's prompt that training records chose."""
    return plain_template(bench.main.adapter.config.plain_prompt)


def everything(ranked: RankedList) -> Refinement:
    """All documents, as they are."""
    return selected(ranked, range(len(ranked)))


def selected(ranked: RankedList, order: Sequence[int]) -> Refinement:
    """The documents at these places, in this order."""
    return Refinement(tuple(ranked.documents[index] for index in order), len(order))


@dataclass(frozen=True)
class Part:
    """Some sentences of document number `index` of a list, under its title."""

    index: int
    document: Document


def sentences(text: str) -> list[str]:
    """The sentences of a text; a line break ends one, and a full stop before white space."""
    return [sentence.strip() for sentence in _SENTENCE_END.split(text) if sentence.strip()]


def parts(documents: Sequence[Document], size: int = 1) -> list[Part]:
    """Each document's sentences, `size` together; an empty document is one empty part."""
    return [
        Part(index, replace(document, text=" ".join(chosen)))
        for index, document in enumerate(documents)
        for chosen in _groups(sentences(document.text) or [document.text], size)
    ]


def joined(chosen: Iterable[Part]) -> Refinement:
    """Parts of the same document as one document again; documents and parts stay in the order of the parts given."""
    texts: dict[int, list[Part]] = {}
    for part in chosen:
        texts.setdefault(part.index, []).append(part)
    documents = tuple(
        replace(own[0].document, text=" ".join(part.document.text for part in own)) for own in texts.values()
    )
    return Refinement(documents, len(documents))


def _groups(texts: Sequence[str], size: int) -> list[Sequence[str]]:
    return [texts[start : start + size] for start in range(0, len(texts), size)]
