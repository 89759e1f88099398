"""What the frameworks share: converting documents, scoring and reranking them, and answering a chat."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from r2ag.answering.follow_ups import Exchange, exchanges_of
from r2ag.answering.streaming import Ask
from r2ag.errors import InputError
from r2ag.method.prompting import check_question
from r2ag.pipeline import Pipeline
from r2ag.retrieval import Found
from r2ag.types import Answer, Document, ScoredDocument

# Names that the frameworks' readers of files and pages use.
_SOURCES = ("source", "file_path", "url")


def document_of(text: str | None, metadata: Mapping[str, Any]) -> Document:
    """Converts a framework's document; metadata that has our names is kept."""
    known = {name: value for name, value in metadata.items() if isinstance(value, str)}
    source = next((known[name] for name in _SOURCES if known.get(name)), "")
    title, section, place = (known.get(name, "") for name in ("title", "section", "place"))
    return Document(text or "", title, source, section=section, place=place)


def metadata_of(document: Document) -> dict[str, Any]:
    """Metadata for a framework's document."""
    return {name: getattr(document, name) for name in ("source", "title", "section", "place")}


def score(
    pipeline: Pipeline, question: str, documents: Sequence[Document] | None = None, k: int | None = None
) -> tuple[ScoredDocument, ...]:
    """Scores documents in the order given; None takes the pipeline's own, in its finder's order.

    Raises:
        InputError: the question or k can't be used, or the adapter takes fewer documents.
    """
    found = pipeline.find(question, documents, k=k)
    return pipeline.finish(pipeline.assess(found), None).documents


def rerank(
    pipeline: Pipeline, question: str, documents: Sequence[Document], threshold: float | None, most: int | None
) -> list[ScoredDocument]:
    """Sorts a retriever's documents by probability of relevance, best first; raises what `score` raises.

    Args:
        threshold: the least probability that is kept; None keeps all.
        most: how many at most are kept; None keeps all.
    """
    scored = score(pipeline, question, documents) if documents else ()
    kept = [document for document in scored if threshold is None or document.relevance_probability >= threshold]
    return by_relevance(kept)[:most]


def by_relevance(scored: Iterable[ScoredDocument]) -> list[ScoredDocument]:
    """Sorts by probability of relevance, best first."""
    return sorted(scored, key=lambda document: -document.relevance_probability)


@dataclass(frozen=True)
class Chat:
    """A question, what was said before it, and what goes before the instruction."""

    question: str
    history: tuple[Exchange, ...] = ()
    system: str = ""

    @classmethod
    def of(cls, messages: Iterable[tuple[str, str]]) -> Chat:
        """Reads messages as (role, text); the last one of role "user" is the question.

        Raises:
            InputError: there is none.
        """
        said = list(messages)
        asked = [index for index, (role, _) in enumerate(said) if role == "user"]
        if not asked:
            raise InputError("There is no user message, and the last one is the question; add it.")
        system = "\n\n".join(text for role, text in said if role == "system")
        return cls(said[asked[-1]][1], exchanges_of(said[: asked[-1]]), system)


def asking(
    pipeline: Pipeline, chat: Chat, documents: Sequence[Document] | None, k: int | None, max_new_tokens: int
) -> Ask:
    """Returns a function that answers, and hands pieces of its reply to its argument; the options are Pipeline.ask's.

    The function raises InputError if the question, the documents or k can't be used.

    Args:
        documents: to answer from, in their retriever's order; None asks the pipeline's own. Without any, the answer
            abstains.
    """

    def ask(on_text: Callable[[str], None]) -> Answer:
        check_question(chat.question)
        question = pipeline.stand_alone(chat.question, chat.history)
        if documents is not None and not documents:
            found = pipeline.describe(question, Found((), ()), 0.0)
        else:
            found = pipeline.find(question, documents, k=k)
        answer = pipeline.answer(found, max_new_tokens=max_new_tokens, system=chat.system or None, on_text=on_text)
        if answer.abstained:
            on_text(answer.reply)
        return answer

    return ask


def refuse_options(options: Iterable[str]) -> None:
    """Raises InputError for options of a call that would have no effect."""
    if names := sorted(options):
        raise InputError(f"R²AG's answers know no {' and no '.join(names)}; leave that out.")


def check_text_only(is_text_only: bool) -> None:
    """Raises InputError for a message that holds more than text."""
    if not is_text_only:
        raise InputError("A message holds more than text, and R²AG reads text alone; leave the rest out.")
