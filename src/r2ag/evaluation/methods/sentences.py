"""Documents to sentences and back: for methods that read parts of documents."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from r2ag.evaluation.methods.refined import Refinement
from r2ag.types import Document

_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")


@dataclass(frozen=True)
class Part:
    """Some sentences of document number `index` of a list, under its title."""

    index: int
    document: Document


def sentences(text: str) -> list[str]:
    """The sentences of a text; a line break ends one, and a full stop before white space."""
    return [sentence.strip() for sentence in _END.split(text) if sentence.strip()]


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
