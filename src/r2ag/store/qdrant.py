"""A store in Qdrant, for many machines: a collection with a point for each passage and one for each file.

store = QdrantStore.open("qdrant+http://localhost:6333/notes")

Qdrant has no transactions over several points, so each file is written by itself. A point's id is made of its file's
source and its number in the file, so that a repeated write replaces what is there. A file loses its digest before
anything of it changes, and gets it again at the very end. If the process is killed in between, the file counts as
unfinished, and the next index run writes it again. What follows from that:

- A search during an index run may see old and new passages of one file, and the passages of an unfinished file.
- Nothing keeps two processes from writing at once. If they write two versions of one file, these may mix.
- Requests are not repeated. An index run that fails goes on from there when the command is given again.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import numpy as np
from qdrant_client import QdrantClient, models
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ApiException

from r2ag.encoder.probe import Probe
from r2ag.errors import InputError
from r2ag.store import base
from r2ag.store.base import AnySnapshot, AnyStore, AnyWriter, Hit, StoredFile
from r2ag.store.conditions import COLUMNS, Compared, Condition, Joined, Modified, Not, Value
from r2ag.store.where import as_value, read_where, storable, storable_fields, storable_texts
from r2ag.store.words import passage_weights, place, question_stems, sparse
from r2ag.types import Document

EXACT_UP_TO = 20_000
"""Up to so many passages, all are compared; beyond that, Qdrant's index (HNSW) finds the nearest."""
MAX_VALUES = 100_000
PAGE, REQUEST_SECONDS = 256, 30
KEY = "QDRANT_API_KEY"
_ADDRESS = re.compile(r"qdrant\+(https?://(?:\[[\da-f:.]+\]|[\w.-]+)(?::\d+)?(?:/[^?#]*)?)/([^/?#]+)")
DENSE, WORDS, META_ID = "dense", "words", 0
_INDEXED = dict.fromkeys(("kind", "source", "title", "section", "labels"), "keyword") | {"modified": "float"}


class QdrantStore(AnyStore):
    """See the module for what it does not promise."""

    FORMAT_VERSION = 2

    def __init__(self, points: QdrantPoints, encoder: Probe) -> None:
        super().__init__(points.name, encoder)
        self._points = points

    @classmethod
    def open(cls, location: str | Path) -> QdrantStore:
        points = QdrantPoints(str(location))
        with ExitStack() as on_error:
            on_error.callback(points.close)
            if (encoder := points.encoder()) is None:
                raise base.no_store(location)
            on_error.pop_all()
        return cls(points, encoder)

    @classmethod
    def make(cls, location: str | Path, encoder: Probe) -> None:
        with closing(QdrantPoints(str(location))) as points:
            if points.encoder() is None:
                points.make_store(encoder)

    def close(self) -> None:
        self._points.close()

    def snapshot(self) -> nullcontext[QdrantPoints]:
        return nullcontext(self._points)

    writing = snapshot

    def check(self) -> None:
        found = Counter(payload["source"] for _, payload in self._points.scroll(_PASSAGES, ["source"]))
        for _, file in self._points.scroll(_FILES, ["source", "digest", "passages"]):
            if not file["digest"]:
                raise InputError(f"The store {self.name} holds {file['source']} only in part; index it again.")
            if found.pop(file["source"], 0) != file["passages"]:
                raise base.damaged(self.name, f"passages of {file['source']} are missing")
        if found:
            raise base.damaged(self.name, "the descriptions of some files are missing")


class QdrantPoints(AnySnapshot, AnyWriter):
    """The points of a store, searched and changed in place. A passage's id is its UUID as a number."""

    def __init__(self, location: str) -> None:
        """Reads qdrant+http://HOST:6333/COLLECTION or qdrant+https://…; QDRANT_API_KEY may hold the server's key.

        Raises:
            InputError: it is no such address, or the key can't be sent.
        """
        if (address := _ADDRESS.fullmatch(location)) is None:
            raise InputError(
                "--store is no address of a Qdrant collection; write it as in qdrant+http://localhost:6333/notes, or "
                f"with qdrant+https, and set {KEY} to the server's key if it needs one."
            )
        key = os.environ.get(KEY, "")
        if not (key.isascii() and key.isprintable()):
            raise InputError(f"{KEY} holds characters that no key has; set it again.")
        self.name, self.dimension, self._is_closed = location, 0, False
        url, self._collection = address.groups()
        self._client = QdrantClient(url=url, api_key=key or None, timeout=REQUEST_SECONDS, check_compatibility=False)

    def close(self) -> None:
        """Closes the connections."""
        self._is_closed = True
        self._client.close()

    def encoder(self) -> Probe | None:
        """What made the vectors, by the point that describes the store; None if there is no store.

        Raises:
            InputError: another version of r2ag made it, or it is damaged.
        """
        points = self._call("retrieve", ids=[META_ID]) if self._call("collection_exists") else []
        payload = (points and points[0].payload) or {}
        if payload.get("kind") != "meta":
            return None
        base.check_version(payload["format_version"], QdrantStore.FORMAT_VERSION, self.name)
        self.dimension = payload["dimension"]
        return base.stored_probe(payload["encoder"], self.dimension, payload["probe"], self.name)

    def make_store(self, encoder: Probe) -> None:
        """Makes a store of a new collection, or of an empty one, which a killed process left or a user made.

        Raises:
            InputError: it holds other things, or takes other vectors.
        """
        if not self._call("collection_exists"):
            dense = {DENSE: models.VectorParams(size=encoder.dimension, distance=models.Distance.DOT)}
            words = {WORDS: models.SparseVectorParams(modifier=models.Modifier.IDF)}
            self._call("create_collection", vectors_config=dense, sparse_vectors_config=words)
        params = self._call("get_collection").config.params
        found = params.vectors.get(DENSE) if isinstance(params.vectors, dict) else None
        is_dense = found is not None and (found.size, found.distance) == (encoder.dimension, models.Distance.DOT)
        if not is_dense or WORDS not in (params.sparse_vectors or {}) or self._call("count", exact=True).count:
            raise InputError(
                f"The collection {self.name} holds other things than a store, or takes other vectors than {DENSE}, of "
                f"{encoder.dimension} numbers with the distance Dot, and {WORDS}, sparse with the modifier IDF; name "
                "another for --store."
            )
        for key, kind in _INDEXED.items():
            self._call("create_payload_index", field_name=key, field_schema=kind)
        payload = {
            "kind": "meta",
            "format_version": QdrantStore.FORMAT_VERSION,
            "encoder": encoder.name,
            "dimension": encoder.dimension,
            "probe": base64.b64encode(encoder.vectors.astype("<f4").tobytes()).decode(),
        }
        self._call("upsert", points=[models.PointStruct(id=META_ID, vector={}, payload=payload)])

    def scroll(self, condition: models.Condition, keys: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Ids and payloads of all points that meet the condition."""
        options = {"scroll_filter": _all(condition), "limit": PAGE, "with_payload": keys}
        offset = None
        while True:
            points, offset = self._call("scroll", offset=offset, **options)
            yield from ((point.id, point.payload) for point in points)
            if offset is None:
                return

    def __len__(self) -> int:
        return int(self._call("count", count_filter=_all(_PASSAGES), exact=True).count)

    def files(self) -> dict[str, StoredFile]:
        facts = ["source", "digest", "size", "modified", "fields"]
        found = {file["source"]: StoredFile(**file) for _, file in self.scroll(_FILES, facts)}
        return dict(sorted(found.items()))

    def nearest(self, vector: np.ndarray, k: int, where: str | None = None) -> list[Hit]:
        return self._query(DENSE, np.asarray(vector, np.float32).tolist(), k, where)

    def matching(self, question: str, k: int, where: str | None = None) -> list[Hit]:
        if not (places := sorted({place(stem) for stem in question_stems(question)})):
            return []
        query = models.SparseVector(indices=places, values=[1.0] * len(places))  # Qdrant knows how rare each is
        return [hit for hit in self._query(WORDS, query, k, where) if hit.score > 0]

    def ids(self, source: str | None = None) -> list[int]:
        found = self.scroll(_PASSAGES if source is None else _passages_of(source), ["source", "number"])
        in_order = sorted((payload["source"], payload["number"], id_) for id_, payload in found)
        return [UUID(id_).int for _, _, id_ in in_order]

    def documents(self, ids: Sequence[int]) -> tuple[Document, ...]:
        keys = ["text", "title", "source", "section", "place"]
        return tuple(Document(**point.payload) for point in self._points(ids, with_payload=keys))

    def vectors(self, ids: Sequence[int]) -> np.ndarray:
        vectors = [point.vector[DENSE] for point in self._points(ids, with_vectors=[DENSE])]
        return np.array(vectors, np.float32).reshape(len(ids), self.dimension)

    def batch(self) -> nullcontext[None]:
        """No transaction: each file is complete by itself."""
        return nullcontext()

    def put(self, file: StoredFile, documents: Sequence[Document], vectors: np.ndarray) -> None:
        vectors = base.check_vectors(vectors, file.source, len(documents), self.dimension)
        points = [_passage(file, number, *parts) for number, parts in enumerate(zip(documents, vectors, strict=True))]
        with self._unfinished(file, len(points)):
            for start in range(0, len(points), PAGE):
                self._call("upsert", points=points[start : start + PAGE])
            self._call("delete", points_selector=_all(_passages_of(file.source, first=len(points))))

    def describe(self, file: StoredFile) -> None:
        if found := self._call("retrieve", ids=[_id(file.source)]):
            with self._unfinished(file, found[0].payload["passages"]):
                self._call("set_payload", payload=_searched(file), points=_all(_passages_of(file.source)))

    def remove(self, source: str) -> None:
        point = _all(models.HasIdCondition(has_id=[_id(source)]))
        self._call("set_payload", payload={"digest": ""}, points=point)
        for selected in (_all(_passages_of(source)), point):
            self._call("delete", points_selector=selected)

    @contextmanager
    def _unfinished(self, file: StoredFile, passages: int) -> Iterator[None]:
        """The file has no digest while the block lasts, nor after a block that fails."""
        stored = {"source": storable(file.source), "fields": storable_fields(file)}
        payload = {"kind": "file", "passages": passages} | vars(file) | stored | {"digest": ""}
        point = models.PointStruct(id=_id(file.source), vector={}, payload=payload)
        self._call("upsert", points=[point])
        yield
        self._call("set_payload", payload={"digest": file.digest}, points=[point.id])

    def _query(self, using: str, query: Any, k: int, where: str | None) -> list[Hit]:
        condition = None if where is None else _all(self._filter(read_where(where)))
        exact = models.SearchParams(exact=len(self) <= EXACT_UP_TO)
        options = {"query_filter": condition, "search_params": exact, "limit": k, "with_payload": False}
        found = self._call("query_points", query=query, using=using, **options)
        hits = [Hit(UUID(point.id).int, float(point.score)) for point in found.points]
        return sorted(hits, key=lambda hit: (-hit.score, hit.id))

    def _points(self, ids: Sequence[int], **parts: Any) -> list[Any]:
        wanted = [str(UUID(int=id_)) for id_ in ids]
        pages = [wanted[start : start + PAGE] for start in range(0, len(wanted), PAGE)]
        found = {point.id: point for page in pages for point in self._call("retrieve", ids=page, **parts)}
        if not found.keys() >= set(wanted):
            raise InputError(f"The store {self.name} was changed while it was read; ask again.")
        return [found[id_] for id_ in wanted]

    def _filter(self, condition: Condition) -> models.Condition:
        """A condition of `--where`.

        Qdrant compares texts for equality only. For all else (`like`, `<`, and whether a value is a number), the values
        that meet the condition are found here and then looked up.
        """
        match condition:
            case Not(part):
                return models.Filter(must_not=[self._filter(part)])
            case Joined("and", parts):
                return _all(*(self._filter(part) for part in parts))
            case Joined(_, parts):
                return models.Filter(should=[self._filter(part) for part in parts])
            case Modified(first, end):
                return models.FieldCondition(key="modified", range=models.Range(gte=first, lt=end))
            case Compared(field, "=", str() as text) if field in COLUMNS:
                return _is(field, text)
            case Compared(field, "=", str() as text):  # a number is equal to its characters
                return _is("labels", *(_label(field, value) for value in {text, as_value(text)}))
        if condition.field in COLUMNS:
            return _is(condition.field, *filter(condition.holds, self._values(condition.field)))
        labels = [one for one in self._values("labels") if one.startswith(f"{condition.field}=")]
        return _is("labels", *(one for one in labels if condition.holds(json.loads(one.partition("=")[2]))))

    def _values(self, key: str) -> list[str]:
        """The different values of a payload's key; raises InputError if there are too many."""
        hits = self._call("facet", key=key, limit=MAX_VALUES + 1, exact=True).hits
        if len(hits) > MAX_VALUES:
            raise InputError(
                f"--where asks {key} for more than equality, and the store {self.name} has more than {MAX_VALUES:,} "
                "different values of it; use = or in."
            )
        return [str(hit.value) for hit in hits]

    def _call(self, method: str, **arguments: Any) -> Any:
        """Calls a method of the client.

        Raises:
            InputError: the server can't be reached or refuses, or the store is closed.
        """
        if self._is_closed:
            raise base.closed(self.name)
        try:
            return getattr(self._client, method)(self._collection, **arguments)
        except (ApiException, ResourceExhaustedResponse, ValueError) as error:
            said = str(getattr(error, "source", error)).replace(os.environ.get(KEY) or "\0", "…")
            raise InputError(
                f"The Qdrant server of {self.name} can't be reached or refuses ({' '.join(said.split())[:300]}); check "
                f"the address, that it runs, and {KEY}, then give the same command again: what was done is kept."
            ) from error


def _id(source: str, number: int | None = None) -> str:
    """Of the passage with this number in its file, or of the file itself."""
    return str(uuid5(NAMESPACE_URL, f"{'' if number is None else number}:{storable(source)}"))


def _passage(file: StoredFile, number: int, document: Document, vector: np.ndarray) -> models.PointStruct:
    texts = dict(zip(("text", "title", "section", "place"), storable_texts(document), strict=True))
    payload = {"kind": "passage", "source": storable(file.source), "number": number} | texts | _searched(file)
    weights = sparse(passage_weights(texts["title"], texts["text"]))
    words = {WORDS: models.SparseVector(indices=list(weights), values=list(weights.values()))} if weights else {}
    return models.PointStruct(id=_id(file.source, number), vector={DENSE: vector.tolist(), **words}, payload=payload)


def _searched(file: StoredFile) -> dict[str, Any]:
    """What a passage bears of its file for conditions."""
    return {"modified": file.modified, "labels": [_label(*field) for field in storable_fields(file).items()]}


def _label(name: str, value: Value) -> str:
    """A file's own metadata as one word, which Qdrant can look up under any name: team="red"."""
    return f"{name}={json.dumps(value, ensure_ascii=False)}"


def _all(*conditions: models.Condition) -> models.Filter:
    return models.Filter(must=list(conditions))


def _is(key: str, *values: Any) -> models.FieldCondition:
    """One of these values."""
    return models.FieldCondition(key=key, match=models.MatchAny(any=list(values)))


def _passages_of(source: str, first: int = 0) -> models.Filter:
    """From the passage with this number on."""
    return _all(_is("source", storable(source)), models.FieldCondition(key="number", range=models.Range(gte=first)))


_FILES, _PASSAGES = _is("kind", "file"), _is("kind", "passage")
