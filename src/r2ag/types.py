"""What flows from one step to the next: plain frozen objects, each documented once, here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from r2ag.errors import InputError

if TYPE_CHECKING:
    import numpy as np

Similarity = Literal["cosine", "dot"]
"""How an encoder compares two vectors."""
FinishReason = Literal["stop", "length"]
"""Why an answer ended: by itself or at a stop text, or because the limit of new tokens cut it off."""
FEATURES = ("relevance", "precedent", "neighbour")
"""What an encoder knows of a document in its list; see features.py."""
VECTOR = "vector"
"""In place of features: the document's own vector, for the control that reads nothing else."""
NOTHING_FOUND = "Nothing relevant was found in these documents."
"""What people read where an answer abstains."""
Progress = Callable[[str, int, int], None]
"""Called by long work with what is being done, how much of it is done, and how much there is in all."""


@dataclass(frozen=True)
class Document:
    """One passage that a retriever may return.

    `relevant` is the gold label where one is known (training and evaluation records), else None. `section` is the path
    of headings above the passage and `place` where in its source it stands, in words ("page 3"); both may be empty.
    `scores` are what finders said of it by name ("bm25", say); an adapter that was trained with such a feature reads it
    there.
    """

    text: str
    title: str = ""
    source: str = ""
    relevant: bool | None = None
    section: str = ""
    place: str = ""
    scores: Mapping[str, float] = field(default_factory=dict, hash=False)

    @property
    def passage(self) -> str:
        """Title and text as one string: what encoders and finders read."""
        return f"{self.title}\n{self.text}" if self.title else self.text


def as_documents(given: Iterable[Document | str]) -> list[Document]:
    """Documents as a user gives them; a text becomes a Document without a title.

    Raises:
        InputError: it is no list, or something in it is neither a Document nor a text; says what.
    """
    if isinstance(given, (str, bytes, Document)) or not isinstance(given, Iterable):
        raise InputError(f"The documents are one {type(given).__name__}; give a list of r2ag.Document, or of texts.")
    documents = [Document(one) if isinstance(one, str) else one for one in given]
    for number, one in enumerate(documents, start=1):
        if not isinstance(one, Document):
            raise InputError(
                f"Document {number} is a value of type {type(one).__name__}; give an r2ag.Document or a text."
            )
    return documents


@dataclass(frozen=True)
class Record:
    """A question with its gold answers and candidate documents, for training and evaluation."""

    id: str
    question: str
    answers: tuple[str, ...]
    documents: tuple[Document, ...]
    dataset: str = ""


@dataclass(frozen=True)
class RankedList:
    """The documents of one question in the order in which they stand in the prompt, with the encoder's vectors.

    query_vector: float32, shape (dimension,). document_vectors: float32, shape (k, dimension). Both come from the
    adapter's feature encoder, whoever found the documents.
    """

    question: str
    documents: tuple[Document, ...]
    query_vector: np.ndarray
    document_vectors: np.ndarray

    def __len__(self) -> int:
        return len(self.documents)

    def reordered(self, order: list[int]) -> RankedList:
        """The same list with document `order[i]` at position i; a shorter `order` keeps only those documents."""
        return RankedList(
            question=self.question,
            documents=tuple(self.documents[index] for index in order),
            query_vector=self.query_vector,
            document_vectors=self.document_vectors[order],
        )

    def without_relevant(self) -> RankedList | None:
        """The list without its relevant documents; None where nothing is left."""
        rest = [index for index, document in enumerate(self.documents) if not document.relevant]
        return self.reordered(rest) if rest else None


@dataclass(frozen=True)
class ScoredDocument:
    """A document as an answer reports it: its rank (from 1), features and calibrated probability of relevance."""

    rank: int
    document: Document
    features: Mapping[str, float]
    relevance_probability: float
    used: bool


@dataclass(frozen=True)
class Answer:
    """What `Pipeline.ask` returns.

    `citations` are ranks from 1. `shortened` is the number of documents that were cut to fit the context window.
    An abstained answer has an empty `text`. `finish_reason` is "length" if the limit of new tokens cut the answer off.
    """

    question: str
    text: str
    documents: tuple[ScoredDocument, ...]
    citations: tuple[int, ...] = ()
    abstained: bool = False
    shortened: int = 0
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    usage: Mapping[str, int] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    finish_reason: FinishReason = "stop"

    @property
    def reply(self) -> str:
        """The text, or the sentence that nothing was found if it abstained."""
        return NOTHING_FOUND if self.abstained else self.text
