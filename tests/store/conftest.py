from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from r2ag.store import AnyStore, Store, StoredFile
from r2ag.store.conditions import Value
from r2ag.types import Document
from tests.hashing import HashingEncoder
from tests.store.kinds import postgres, qdrant

__all__ = ["postgres", "qdrant"]

TOPICS = ("bridge", "river", "mason", "town")


@pytest.fixture
def encoder() -> HashingEncoder:
    return HashingEncoder()


@pytest.fixture
def store(tmp_path: Path, encoder: HashingEncoder) -> Store:
    store = Store.create(tmp_path / "store", encoder)
    put(store, encoder, "bridges", "The bridge was built in 1471.", "Bridges fall.", title="Bridges")
    put(store, encoder, "rivers", "The river runs.", section="Water", place="page 3")
    return store


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A folder with a file on each topic, two passages each."""
    folder = tmp_path / "notes"
    folder.mkdir()
    for topic in TOPICS:
        write(folder / f"{topic}.md", topic)
    return folder


def write(file: Path, topic: str) -> None:
    file.write_text(f"The {topic} was built in 1471.\n\nIn 1802 the {topic} fell.\n", encoding="utf-8")


def put(store: AnyStore, encoder: HashingEncoder, source: str, *texts: str, **more: object) -> None:
    """Stores a file with a passage of each text."""
    fields: Mapping[str, Value] = more.pop("fields", {})  # type: ignore[assignment]
    modified = float(more.pop("modified", 0.0))  # type: ignore[arg-type]
    documents = [Document(text, **more) for text in texts]  # type: ignore[arg-type]
    with store.writing() as writer, writer.batch():
        file = StoredFile(source, "digest", 1, modified, dict(fields))
        writer.put(file, documents, encoder.encode_documents(documents))


def contents(store: AnyStore) -> dict[str, list[str]]:
    """The texts of each file, in order, all of which a search finds."""
    texts: dict[str, list[str]] = {}
    with store.snapshot() as snapshot:
        found = {hit.id for hit in snapshot.nearest(store.encoder.vectors[0], 10**9)}
        for source in snapshot.files():
            ids = snapshot.ids(source)
            assert found >= set(ids)
            found -= set(ids)
            texts[Path(source).name] = [document.text for document in snapshot.documents(ids)]
        assert not found
    return texts
