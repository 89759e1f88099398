"""What indexing costs beside the encoding that it has to do, and what it costs again.

    python benchmarks/indexing.py [RECORDS…] [--files 1000] [--words 0] [--turns 3] [--turn-files 800] [--folder DIR]

Writes a folder of Markdown files, one passage of the records each (random words where none are given; --words cuts
them), and prints one JSON object:

- "first", "again", "changed": `index_files` on all of them; once more; and after ten files were changed, five added and
  five deleted. Each with processor seconds, what became of the files, and how many texts the encoder was given.
- "turns": on fresh folders of some files, `index_files` and the bare encoder on the same passages by turns: the share
  of the bare encoder's speed that indexing reaches, for each turn.

Times are the processor's, which a busy machine changes little; set OMP_NUM_THREADS=1, so that they are what one would
wait.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from turns import finish, parser, peak_megabytes, spread, timed

from r2ag.encoder.encoder import FeatureEncoder
from r2ag.models import DEFAULT_RETRIEVER
from r2ag.records.files import read_records
from r2ag.store import IndexReport, Store, index_files
from r2ag.types import Document

CHANGED, ADDED, DELETED = 10, 5, 5


class Counting:
    """An encoder that counts what it is given."""

    def __init__(self, encoder: FeatureEncoder) -> None:
        self.encoder = encoder
        self.name, self.dimension, self.max_tokens = encoder.name, encoder.dimension, encoder.max_tokens
        self.count_tokens, self.encode_queries = encoder.count_tokens, encoder.encode_queries
        self.given: list[str] = []

    def encode_documents(self, documents: Sequence[Document]) -> np.ndarray:
        self.given += [document.text for document in documents]
        return self.encoder.encode_documents(documents)


def texts_of(records: Sequence[Path], words: int) -> list[tuple[str, str]]:
    """Titles and texts, in a random order."""
    random.seed(0)
    if not records:
        from store import random_texts

        return [("", text) for text in random_texts(4000, np.random.default_rng(0))]
    passages = {(d.title, d.text) for file in records for record in read_records(file) for d in record.documents}
    cut = [(title, " ".join(text.split()[: words or None])) for title, text in sorted(passages)]
    return random.sample(cut, len(cut))


def write(folder: Path, number: int, texts: Sequence[tuple[str, str]]) -> None:
    title, text = texts[number % len(texts)]
    copy = number // len(texts)
    more = f"\n\nCopy {copy}." if copy else ""
    (folder / f"{number}.md").write_text(f"# {' '.join(title.split()) or number}\n\n{text}{more}\n", encoding="utf-8")


def told(seconds: float, report: IndexReport, given: int) -> dict[str, object]:
    counts = {name: getattr(report, name) for name in ("added", "changed", "unchanged", "removed", "passages")}
    return {"processor_seconds": round(seconds, 2), **counts, "texts_given_to_the_encoder": given}


def again_and_again(folder: Path, texts: Sequence[tuple[str, str]], files: int, encoder: Counting) -> dict[str, object]:
    notes = folder / "notes"
    notes.mkdir()
    for number in range(files):
        write(notes, number, texts)
    store = Store.create(folder / "store", encoder)
    encoder.given.clear()
    report: dict[str, object] = {}

    def index(name: str) -> None:
        seconds, done = timed(lambda: index_files(store, [notes], encoder))
        report[name] = told(seconds, done, len(encoder.given))

    index("first")
    encoder.given.clear()
    index("again")
    for number in range(CHANGED):
        (notes / f"{number}.md").write_text(f"# Note {number}\n\nThis one was changed.\n", encoding="utf-8")
    for number in range(CHANGED, CHANGED + DELETED):
        (notes / f"{number}.md").unlink()
    for number in range(ADDED):
        (notes / f"new {number}.md").write_text(f"# New {number}\n\nThis one was added.\n", encoding="utf-8")
    index("changed")
    assert sorted(encoder.given) == ["This one was added."] * ADDED + ["This one was changed."] * CHANGED
    store.check()
    return report | {"megabytes_on_disk": round(store.info().bytes_on_disk / 1e6, 1)}


def shares(
    folder: Path, texts: Sequence[tuple[str, str]], turns: int, files: int, encoder: FeatureEncoder
) -> dict[str, object]:
    """The speed of indexing over the bare encoder's, turn by turn."""
    found, passages = [], 0
    for turn in range(turns):
        notes = folder / f"turn {turn}"
        notes.mkdir()
        for number in range(files):
            write(notes, turn * files + number, texts)
        store = Store.create(folder / f"store {turn}", encoder)
        indexing, _ = timed(lambda store=store, notes=notes: index_files(store, [notes], encoder))
        with store.snapshot() as snapshot:
            documents = snapshot.documents(snapshot.ids())
        bare, _ = timed(lambda documents=documents: encoder.encode_documents(documents))
        found.append(bare / indexing)
        passages += len(documents)
    return {"passages": passages, "shares_of_the_bare_encoders_speed": spread(found, 3)}


def main() -> None:
    arguments = parser(__doc__, files=1000, words=0, turns=3, turn_files=800)
    arguments.add_argument("records", nargs="*", type=Path)
    arguments.add_argument("--folder", type=Path, help="where all is made for a while; the temporary folder")
    options = arguments.parse_args()
    texts = texts_of(options.records, options.words)
    encoder = FeatureEncoder.from_pretrained(DEFAULT_RETRIEVER)
    encoder.encode_documents([Document("warm")] * 32)
    report: dict[str, object] = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        if options.files:
            report |= again_and_again(Path(name), texts, options.files, Counting(encoder))
        if options.turns:
            report |= shares(Path(name), texts, options.turns, options.turn_files, encoder)
    report["megabytes_of_memory_at_most"] = round(peak_megabytes())
    finish("indexing", report, options)


if __name__ == "__main__":
    main()
