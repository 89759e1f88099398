"""The commands with stores on a server: as with a folder, and no password is ever shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import TOPICS, Command, Tiny, r2ag, tiny
from tests.cli.test_ask import check_contract
from tests.store.kinds import REMOTE_KINDS, new_location

__all__ = ["r2ag", "tiny"]


@pytest.fixture(params=REMOTE_KINDS)
def location(request: pytest.FixtureRequest) -> str:
    return new_location(request.param, request)


def test_a_store_from_its_beginning_to_its_end(r2ag: Command, tiny: Tiny, location: str, tmp_path: Path) -> None:
    index = ["index", tiny.documents, "--store", location, "--adapter", tiny.adapter, "--meta", "team=red"]
    shown = []

    def run(*arguments: object) -> str:
        outcome = r2ag(*arguments)
        assert outcome.status == 0, outcome.err
        shown.extend([outcome.out, outcome.err])
        return " ".join(outcome.out.split())

    assert f"{len(TOPICS)} added, 0 changed, 0 unchanged" in run(*index)
    assert f"0 added, 0 changed, {len(TOPICS)} unchanged" in run(*index)
    ask = ["ask", "Which bridge?", "--store", location, "--adapter", tiny.adapter, "--max-new-tokens", 2, "--json"]
    for finder in ("dense", "bm25", "hybrid"):
        answer = json.loads(run(*ask, "--finder", finder, "--k", 1, "--no-abstain"))
        check_contract(answer, k=1)
        if finder != "dense":
            assert answer["documents"][0]["source"] == str(tiny.documents / "bridge.md")
    where = "team = red and source like '%/R%.md'"
    answer = json.loads(run(*ask, "--where", where, "--no-abstain"))
    assert [Path(document["source"]).stem for document in answer["documents"]] == ["river"]
    described = run("store", "info", location)
    assert f"files {len(TOPICS)} passages " in described
    assert f"team ({len(TOPICS)} files)" in described
    assert run("store", "check", location).startswith(f"Sound: {len(TOPICS)} files, ")
    assert "nothing to compact" in r2ag.refused("store", "compact", location)
    copied = run("store", "copy", location, tmp_path / "copy")
    assert f"files {len(TOPICS)}, of which {len(TOPICS)} were copied now" in copied
    assert run("store", "copy", tmp_path / "copy", location).split("checksum")[1] == copied.split("checksum")[1]
    assert run("store", "remove", location, tiny.documents / "bridge.md") == "1 file removed."
    assert "holds no file" in r2ag.refused("store", "remove", location, tiny.documents / "bridge.md")
    assert run("store", "remove", location, tiny.documents) == f"{len(TOPICS) - 1} files removed."
    shown.append(r2ag.refused(*ask))
    assert "is empty; index some files" in shown[-1]
    assert "pa55" not in "".join(shown)
