"""Where the last token of a record's prompt looks (figure 6)."""

from __future__ import annotations

from dataclasses import dataclass

from r2ag.answering.attention import last_token_attention
from r2ag.answering.reader import Reader
from r2ag.types import RankedList


@dataclass(frozen=True)
class AttentionMap:
    """One prompt's attention, as r2ag.answering.attention.Attention has it, with the record that it is of."""

    record_id: str
    question: str
    relevant: tuple[bool, ...]
    anchors: tuple[tuple[float, ...], ...]
    documents: tuple[tuple[float, ...], ...]
    llm: str
    adapter: str  # by its folder's name


def attention_map(reader: Reader, ranked: RankedList, record_id: str, max_new_tokens: int = 32) -> AttentionMap:
    """Reads the prompt once; all documents are in it.

    Raises:
        InputError: the adapter takes no list of this length, or the prompt doesn't fit.
    """
    (prompt,), mixed = reader.mix([ranked], reader.assess([ranked]), max_new_tokens)
    attention = last_token_attention(reader.model.llm, prompt, mixed)
    return AttentionMap(
        record_id=record_id,
        question=ranked.question,
        relevant=tuple(bool(document.relevant) for document in ranked.documents),
        anchors=attention.anchors,
        documents=attention.documents,
        llm=reader.adapter.config.llm.name,
        adapter="" if reader.adapter.folder is None else reader.adapter.folder.name,
    )
