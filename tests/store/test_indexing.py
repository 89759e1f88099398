from __future__ import annotations

import os
from pathlib import Path

import pytest
from fpdf import FPDF
from PIL import Image

from r2ag.corpus import Skipped
from r2ag.errors import InputError
from r2ag.store import AnyStore, create_store, index_files, remove_files
from tests.hashing import HashingEncoder, paragraphs
from tests.store.conftest import TOPICS, contents, write
from tests.store.kinds import KINDS, new_location


@pytest.fixture(autouse=True)
def _one_passage_a_paragraph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("r2ag.store.indexing.chunk", paragraphs)


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, encoder: HashingEncoder) -> AnyStore:
    return create_store(new_location(request.param, request), encoder)


def counts(store: AnyStore, notes: Path, encoder: HashingEncoder, **options: object) -> tuple[int, ...]:
    report = index_files(store, [notes], encoder, **options)  # type: ignore[arg-type]
    return report.added, report.changed, report.unchanged, report.removed, report.passages


def test_every_passage_is_there_with_its_vector(store, notes, encoder):
    assert counts(store, notes, encoder) == (4, 0, 0, 0, 8)
    assert contents(store) == {f"{t}.md": [f"The {t} was built in 1471.", f"In 1802 the {t} fell."] for t in TOPICS}
    with store.snapshot() as snapshot:
        query = encoder.encode_queries(["In 1802 the river fell."])[0]
        hits = snapshot.nearest(query, 3)
        (document, *_) = snapshot.documents([hit.id for hit in hits])
        assert document.text == "In 1802 the river fell."
        assert document.source == str(notes / "river.md")
        vectors = snapshot.vectors([hit.id for hit in hits])
    assert hits[0].score == pytest.approx(1)
    assert vectors @ query == pytest.approx([hit.score for hit in hits])
    store.check()


def test_what_is_unchanged_is_neither_read_nor_encoded_again(store, notes, encoder, monkeypatch):
    counts(store, notes, encoder)
    encoder.encoded.clear()
    monkeypatch.setattr("r2ag.corpus.FileReader.read", None)
    assert counts(store, notes, encoder) == (0, 0, 4, 0, 0)
    assert encoder.encoded == []


def test_a_touched_file_is_read_and_not_encoded(store, notes, encoder, monkeypatch):
    counts(store, notes, encoder)
    os.utime(notes / "river.md", (1, 1))
    assert counts(store, notes, encoder) == (0, 0, 4, 0, 0)
    monkeypatch.setattr("r2ag.corpus.FileReader.read", None)
    assert counts(store, notes, encoder) == (0, 0, 4, 0, 0)


def test_changed_files_take_their_passages_place_and_deleted_ones_go(store, notes, encoder):
    counts(store, notes, encoder)
    (notes / "bridge.md").write_text("A ferry runs now.")
    (notes / "town.md").unlink()
    encoder.encoded.clear()
    assert counts(store, notes, encoder) == (0, 1, 2, 1, 1)
    assert encoder.encoded == ["A ferry runs now."]
    assert list(contents(store)) == ["mason.md", "river.md", "bridge.md"]
    assert contents(store)["bridge.md"] == ["A ferry runs now."]
    with store.snapshot() as snapshot:
        assert snapshot.matching("town", 9) == []
        assert len(snapshot.matching("ferry", 9)) == 1
    store.check()


def test_only_the_folders_given_are_compared(store, notes, encoder, tmp_path):
    counts(store, notes, encoder)
    other = tmp_path / "notes2"
    other.mkdir()
    write(other / "river.md", "other")
    (notes / "town.md").unlink()
    assert index_files(store, [other], encoder).removed == 0
    assert index_files(store, [notes / "river.md"], encoder).removed == 0
    assert counts(store, notes, encoder)[3] == 1
    with store.snapshot() as snapshot:
        assert len(snapshot.files()) == 4


def test_what_can_no_longer_be_read_leaves_the_store(store, notes, encoder):
    counts(store, notes, encoder)
    (notes / "river.md").write_bytes(b"\0\0\0")
    report = index_files(store, [notes], encoder)
    assert [(type(file), file.path.name) for file in report.skipped] == [(Skipped, "river.md")]
    assert report.removed == 1
    assert "river.md" not in contents(store)


def test_pages_that_could_not_be_read_are_told(store, notes, encoder):
    document = FPDF()
    document.set_font("Helvetica")
    document.add_page()
    document.write(text="The bridge fell.")
    document.add_page()
    document.image(Image.new("L", (8, 8)))
    document.output(str(notes / "half.pdf"))
    report = index_files(store, [notes], encoder)
    assert report.unread == ((str(notes / "half.pdf"), ("page 2",)),)
    assert report.added == 5


def test_metadata_is_kept_added_and_replaced(store, notes, encoder):
    counts(store, notes, encoder, fields={"team": "a", "year": 2024})
    write(notes / "river.md", "canal")
    encoder.encoded.clear()
    index_files(store, [notes], encoder, {"team": "b"})
    assert len(encoder.encoded) == 2
    with store.snapshot() as snapshot:
        assert [file.fields for file in snapshot.files().values()] == [{"team": "b", "year": 2024}] * 4


def test_the_same_file_in_two_paths_is_indexed_once(store, notes, encoder, monkeypatch):
    monkeypatch.chdir(notes)
    report = index_files(store, [Path("river.md"), notes, Path("../notes/river.md")], encoder)
    assert (report.added, report.passages) == (4, 8)


def test_progress_rises_to_the_whole(store, notes, encoder):
    (notes / "long.txt").write_text("\n\n".join(f"The part number {number}." for number in range(500)))
    done, totals = list[int](), set[int]()

    def note(what: str, so_far: int, total: int) -> None:
        done.append(so_far)
        totals.add(total)

    counts(store, notes, encoder, on_progress=note)
    assert done[0] == 0
    assert done == sorted(done)
    assert len(set(done)) >= 4
    assert totals == {done[-1]} == {sum(file.stat().st_size for file in notes.iterdir())}


def test_removing_files_and_folders(store, notes, encoder):
    counts(store, notes, encoder)
    assert remove_files(store, [notes / "river.md"]) == 1
    assert "river.md" not in contents(store)
    with pytest.raises(InputError, match=r"holds no file .*river\.md"):
        remove_files(store, [notes / "town.md", notes / "river.md"])
    assert "town.md" in contents(store)
    assert remove_files(store, [notes, notes / "town.md"]) == 3
    assert contents(store) == {}
    store.check()


def test_a_file_name_that_is_no_utf8(store, notes, encoder):
    Path(os.fsdecode(os.fsencode(notes) + b"/\xff.txt")).write_text("Bytes have names.")
    assert counts(store, notes, encoder)[0] == 5
    assert counts(store, notes, encoder)[2] == 5


def test_an_interrupted_batch_leaves_the_last_one(store, notes, encoder, monkeypatch):
    counts(store, notes, encoder)
    before = contents(store)
    write(notes / "river.md", "canal")
    write(notes / "new.md", "new")

    def interrupted(documents: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(encoder, "encode_documents", interrupted)
    with pytest.raises(KeyboardInterrupt):
        counts(store, notes, encoder)
    assert contents(store) == before
    monkeypatch.undo()
    assert counts(store, notes, encoder)[:3] == (1, 1, 3)
