"""Indexing, asking a store, looking after it, and what may be wrong with all that."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from r2ag.types import NOTHING_FOUND
from tests.cli.conftest import TOPICS, Command, Outcome, Tiny
from tests.cli.test_ask import check_contract
from tests.tiny import tiny_cross_encoder_folder, tiny_encoder_folder


@pytest.fixture
def store(r2ag: Command, tiny: Tiny, tmp_path: Path) -> Path:
    """The tiny documents, indexed with the tiny adapter's encoder."""
    outcome = index(r2ag, tiny, tmp_path / "store", "--meta", "team=red", "--meta", "year=2024")
    assert outcome.status == 0, outcome.err
    return tmp_path / "store"


def index(r2ag: Command, tiny: Tiny, store: Path, *options: object) -> Outcome:
    return r2ag("index", tiny.documents, "--store", store, "--adapter", tiny.adapter, *options)


def arguments(tiny: Tiny, store: Path, *options: object) -> list[object]:
    common = ["--store", store, "--adapter", tiny.adapter, "--max-new-tokens", 2, "--json"]
    return ["ask", "Which bridge?", *common, *options]


def asked(r2ag: Command, tiny: Tiny, store: Path, *options: object) -> dict[str, Any]:
    outcome = r2ag(*arguments(tiny, store, *options))
    assert outcome.status == 0, outcome.err
    answer: dict[str, Any] = json.loads(outcome.out)
    return answer


def test_indexing_twice_does_the_work_once(r2ag: Command, tiny: Tiny, store: Path) -> None:
    again = index(r2ag, tiny, store)
    assert again.status == 0
    assert f"0 added, 0 changed, {len(TOPICS)} unchanged" in again.out
    assert "0 passages" in again.out


def test_indexing_on_several_devices(r2ag: Command, tiny: Tiny, store: Path, tmp_path: Path) -> None:
    outcome = index(r2ag, tiny, tmp_path / "other", "--devices", "cpu,cpu")
    assert f"{len(TOPICS)} added" in outcome.out, outcome.err
    assert outcome.err.splitlines() == ["Loading the encoder …"]
    found = [asked(r2ag, tiny, folder) for folder in (store, tmp_path / "other")]
    assert [d["text"] for d in found[0]["documents"]] == [d["text"] for d in found[1]["documents"]]
    for options, word in (
        (["--devices", "cpu,cuda:99"], "cuda:99"),
        (["--encoder", "any", "--embeddings-url", "http://127.0.0.1:9", "--devices", "cpu"], "--devices"),
    ):
        sentence = r2ag.refused("index", tiny.documents, "--store", tmp_path / "none", *options)
        assert word in sentence
        assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("finder", ["dense", "bm25", "hybrid"])
def test_asking_a_store(r2ag: Command, tiny: Tiny, store: Path, finder: str) -> None:
    answer = asked(r2ag, tiny, store, "--finder", finder, "--k", 1, "--no-abstain")
    check_contract(answer, k=1)
    if finder != "dense":
        assert answer["documents"][0]["source"] == str(tiny.documents / "bridge.md")


def test_conditions_and_comparing(r2ag: Command, tiny: Tiny, store: Path) -> None:
    where = "team = red and year > 2000 and (source like '%/r%.md' or source like '%town.md')"
    answer = asked(r2ag, tiny, store, "--where", where, "--compare")
    check_contract(answer, k=len(answer["documents"]))
    assert {Path(document["source"]).stem for document in answer["documents"]} == {"river", "town"}
    nothing = asked(r2ag, tiny, store, "--where", "team = blue", "--compare")
    assert (nothing["abstained"], nothing["documents"], nothing["plain_answer"]) == (True, [], "")
    shown = r2ag(*[a for a in arguments(tiny, store, "--where", "team = blue") if a != "--json"])
    assert (shown.status, shown.out.strip()) == (0, NOTHING_FOUND)


def test_another_encoders_store(r2ag: Command, tiny: Tiny, tmp_path: Path) -> None:
    other, store = tiny_encoder_folder(tmp_path / "other", "dot"), tmp_path / "store"
    assert r2ag("index", tiny.documents, "--store", store, "--encoder", other).status == 0
    assert str(other) in r2ag.refused(*arguments(tiny, store))
    check_contract(asked(r2ag, tiny, store, "--encoder", other, "--k", 2), k=2)
    check_contract(asked(r2ag, tiny, store, "--finder", "bm25", "--k", 1), k=1)
    assert "the adapter that the store was made with" in r2ag.refused(
        "index", tiny.documents, "--store", store, "--adapter", tiny.adapter
    )


def test_reranking(r2ag: Command, tiny: Tiny, store: Path, tmp_path: Path) -> None:
    reranker = tiny_cross_encoder_folder(tmp_path / "reranker")
    check_contract(asked(r2ag, tiny, store, "--reranker", reranker, "--k", 3), k=3)
    assert "./nowhere" in r2ag.refused(*arguments(tiny, store, "--reranker", "./nowhere"))


def test_looking_after_a_store(r2ag: Command, tiny: Tiny, store: Path) -> None:
    shown = " ".join(r2ag("store", "info", store).out.split())
    assert f"files {len(TOPICS)} passages " in shown
    assert f"team ({len(TOPICS)} files), year ({len(TOPICS)} files)" in shown
    assert r2ag("store", "check", store).out.startswith(f"Sound: {len(TOPICS)} files, ")
    assert r2ag("store", "remove", store, tiny.documents / "bridge.md").out == "1 file removed.\n"
    assert "MB now" in r2ag("store", "compact", store).out
    assert r2ag("store", "check", store).out.startswith(f"Sound: {len(TOPICS) - 1} files, ")
    assert "holds no file" in r2ag.refused("store", "remove", store, tiny.documents / "bridge.md")


def test_the_help_names_what_can_be_done(r2ag: Command) -> None:
    shown = r2ag("store", "--help").out
    assert all(f" {command} " in shown for command in ("info", "check", "compact", "remove"))


def test_stores_that_cannot_be_used(r2ag: Command, tiny: Tiny, store: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    damaged = shutil.copytree(store, tmp_path / "damaged")
    (damaged / "store.sqlite").write_bytes(b"no database" * 1000)
    for folder, words in (
        (tmp_path / "file", "is a file; --store names a folder"),
        (tmp_path / "nowhere", "There is no store"),
        (damaged, "is damaged"),
    ):
        assert words in r2ag.refused(*arguments(tiny, folder))
        for command in ("info", "check", "compact"):
            assert words in r2ag.refused("store", command, folder)
        assert words in r2ag.refused("store", "remove", folder, tiny.documents)
    assert "is a file" in r2ag.refused("index", tiny.documents, "--store", tmp_path / "file", "--adapter", tiny.adapter)
    assert "holds other files" in r2ag.refused(
        "index", tiny.documents, "--store", tiny.documents, "--adapter", tiny.adapter
    )


def test_an_empty_store(r2ag: Command, tiny: Tiny, store: Path) -> None:
    r2ag("store", "remove", store, tiny.documents)
    assert "is empty; index some files" in r2ag.refused(*arguments(tiny, store))


def test_options_that_do_not_go_together(r2ag: Command, tiny: Tiny, store: Path) -> None:
    for option, value in (("--where", "team = red"), ("--finder", "bm25"), ("--encoder", "x")):
        assert "need --store" in r2ag.refused(*tiny.ask(option, value))
    assert "can't go together" in r2ag.refused(*arguments(tiny, store, "--docs", tiny.documents))
    assert "quote that" in r2ag.refused("ask", "Which", "bridge?", "--store", store)
    assert "needs --encoder" in r2ag.refused(*arguments(tiny, store, "--embeddings-url", "http://127.0.0.1:1"))
    assert "--where has" in r2ag.refused(*arguments(tiny, store, "--where", "team = 'red' blue"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["nowhere"], "no file or folder nowhere"),
        (["team=red"], "metadata follows --meta"),
        ([".", "--meta", "team"], "as in team=bridges"),
        ([".", "--meta", "title=x"], "'title'"),
        ([".", "--meta", "a b=x"], "'a b'"),
    ],
)
def test_what_cannot_be_indexed(r2ag: Command, tmp_path: Path, options: list[str], words: str) -> None:
    assert words in r2ag.refused("index", *options, "--store", tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_files_that_are_skipped_are_named(r2ag: Command, tiny: Tiny, tmp_path: Path) -> None:
    notes = shutil.copytree(tiny.documents, tmp_path / "notes")
    (notes / "binary.md").write_bytes(b"\0\0")
    outcome = r2ag("index", notes, "--store", tmp_path / "store", "--adapter", tiny.adapter)
    assert outcome.status == 0
    assert "binary.md" in outcome.err
    assert f"{len(TOPICS)} added" in outcome.out
