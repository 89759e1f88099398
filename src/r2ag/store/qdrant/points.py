"""The points of a store in Qdrant: passages, a point for each file, and one that describes the store."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from qdrant_client import models

from r2ag.encoder.probe import Probe
from r2ag.errors import InputError
from r2ag.store.base import StoredFile, check_version
from r2ag.store.bm25 import passage_weights, sparse
from r2ag.store.conditions import Value
from r2ag.store.qdrant.collection import Collection
from r2ag.store.writer import storable, storable_fields

FORMAT_VERSION = 1
META_ID = 0
DENSE, WORDS = "dense", "words"
PASSAGE, FILE, META = "passage", "file", "meta"
NOBODY = "nobody"
PAGE = 256
INDEXED = {
    **dict.fromkeys(("kind", "source", "title", "section", "labels", "writer"), models.PayloadSchemaType.KEYWORD),
    **dict.fromkeys(("born", "died", "generation", "beat"), models.PayloadSchemaType.INTEGER),
    **dict.fromkeys(("modified", "died_at"), models.PayloadSchemaType.FLOAT),
}


@dataclass(frozen=True)
class Meta:
    """What a store knows of itself; `generation` goes up with each change of its documents."""

    generation: int
    next_id: int
    files: int
    passages: int
    writer: str
    beat: int
    encoder: Probe


def first_meta(encoder: Probe) -> models.PointStruct:
    """The point of an empty store."""
    payload = {
        "kind": META,
        "format_version": FORMAT_VERSION,
        "generation": 0,
        "next_id": META_ID + 1,
        "files": 0,
        "passages": 0,
        "writer": NOBODY,
        "beat": 0,
        "encoder": encoder.name,
        "dimension": encoder.dimension,
        "probe": base64.b64encode(encoder.vectors.astype("<f4").tobytes()).decode(),
    }
    return models.PointStruct(id=META_ID, vector={}, payload=payload)


def read_meta(collection: Collection) -> Meta | None:
    """What the store says of itself; None where the collection holds no store.

    Raises:
        InputError: a newer r2ag made it, or it is damaged.
    """
    points = collection.call("retrieve", ids=[META_ID], with_payload=True)
    payload = (points[0].payload if points else None) or {}
    if payload.get("kind") != META:
        return None
    check_version(payload.get("format_version"), FORMAT_VERSION, collection.name)
    try:
        probe = np.frombuffer(base64.b64decode(payload["probe"], validate=True), dtype="<f4").reshape(
            -1, payload["dimension"]
        )
        numbers = {key: int(payload[key]) for key in ("generation", "next_id", "files", "passages", "beat")}
        return Meta(writer=payload["writer"], encoder=Probe(payload["encoder"], probe), **numbers)
    except (KeyError, TypeError, ValueError):
        raise damaged(collection, "its description can't be read") from None


def damaged(collection: Collection, how: str) -> InputError:
    """The sentence for it."""
    return InputError(
        f"The store {collection.name} is damaged ({how}); restore a snapshot, or index the files again into a new "
        "collection."
    )


def file_point(id_: int, file: StoredFile, passages: int, born: int) -> models.PointStruct:
    """What is known of a file."""
    payload = {
        "kind": FILE,
        "born": born,
        "source": storable(file.source),
        "digest": file.digest,
        "size": file.size,
        "modified": file.modified,
        "fields": json.dumps(storable_fields(file)),
        "passages": passages,
    }
    return models.PointStruct(id=id_, vector={}, payload=payload)


def stored_file(payload: dict[str, Any]) -> StoredFile:
    """The file that a point describes."""
    fields = json.loads(payload["fields"])
    return StoredFile(payload["source"], payload["digest"], payload["size"], float(payload["modified"]), fields)


def passage_point(
    id_: int, file: StoredFile, texts: Sequence[str], vector: np.ndarray, born: int
) -> models.PointStruct:
    """A passage; `texts` are its text, title, section and place."""
    text, title, section, place = texts
    payload = {
        "kind": PASSAGE,
        "born": born,
        "source": storable(file.source),
        "modified": file.modified,
        "labels": [label(name, value) for name, value in storable_fields(file).items()],
        "text": text,
        "title": title,
        "section": section,
        "place": place,
    }
    weights = sparse(passage_weights(title, text))
    vectors: dict[str, Any] = {DENSE: vector.tolist()}
    if weights:
        vectors[WORDS] = models.SparseVector(indices=list(weights), values=list(weights.values()))
    return models.PointStruct(id=id_, vector=vectors, payload=payload)


def label(name: str, value: Value) -> str:
    """A file's own metadata as one word, which Qdrant can look up under whatever name: team="red"."""
    return f"{name}={json.dumps(value, ensure_ascii=False)}"


def is_any(key: str, values: Sequence[Any]) -> models.FieldCondition:
    """One of these values."""
    return models.FieldCondition(key=key, match=models.MatchAny(any=list(values)))


def within(key: str, **bounds: float | None) -> models.FieldCondition:
    """A number within bounds: lt, lte, gt, gte."""
    return models.FieldCondition(key=key, range=models.Range(**bounds))


def alive(generation: int, *more: Any) -> models.Filter:
    """What counts in a generation, and meets these conditions too."""
    return models.Filter(must=[*more, within("born", lte=generation)], must_not=[within("died", lte=generation)])


def scroll(collection: Collection, conditions: models.Filter, with_vectors: bool | list[str] = False) -> Iterator[Any]:
    """All points that meet the conditions, by rising id."""
    offset = None
    while True:
        points, offset = collection.call(
            "scroll",
            scroll_filter=conditions,
            limit=PAGE,
            offset=offset,
            with_payload=True,
            with_vectors=with_vectors,
        )
        yield from points
        if offset is None:
            return
