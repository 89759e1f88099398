"""The server over stores on other machines: documents are added, asked and deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from r2ag.server.library import uploads_folder
from r2ag.server.service import Service
from r2ag.store import AnyStore, create_store
from tests.server.conftest import QUESTION, eventually, running
from tests.store.kinds import REMOTE_KINDS, new_location
from tests.store.postgres_server import running_postgres
from tests.test_pipeline import new_pipeline


@pytest.mark.parametrize("kind", REMOTE_KINDS)
def test_documents_are_added_asked_and_deleted(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    pipeline = new_pipeline()
    store: AnyStore = create_store(new_location(kind, request), pipeline.encoder)
    pipeline.use(store)
    uploads = tmp_path / "up" / "loads"
    with running(Service.of(pipeline, store, uploads=uploads)) as server, server.http() as http:
        added = http.post("/v1/documents", files={"file": ("bridge.md", b"The bridge was built in 1471.")}).json()
        eventually(lambda: http.get(f"/v1/documents/{added['id']}").json()["status"] == "ready")
        assert (uploads / "bridge.md").is_file()
        asked = {"model": "r2ag", "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 2}
        answer = http.post("/v1/chat/completions", json={**asked, "abstain": False})
        assert answer.status_code == 200, answer.text
        assert [document["source"] for document in answer.json()["r2ag"]["documents"]] == ["bridge.md"]
        assert http.delete(f"/v1/documents/{added['id']}").status_code == 200
        eventually(lambda: http.get("/v1/documents").json()["data"] == [])
    assert store.info().files == 0


@pytest.mark.parametrize("kind", REMOTE_KINDS)
def test_each_store_has_uploads_of_its_own_by_default(kind: str, request: pytest.FixtureRequest) -> None:
    encoder = new_pipeline().encoder
    folders = {uploads_folder(create_store(new_location(kind, request), encoder)) for _ in range(2)}
    assert len(folders) == 2
    assert {folder.parent.name for folder in folders} == {"uploads"}


def test_a_database_that_dies_under_a_server_and_comes_back(tmp_path: Path) -> None:
    pipeline = new_pipeline()
    with running_postgres() as database:
        store = create_store(database.url("served"), pipeline.encoder)
        pipeline.use(store)
        service = Service.of(pipeline, store, uploads=tmp_path)
        with running(service) as server, server.http() as http:
            added = http.post("/v1/documents", files={"file": ("bridge.md", b"The bridge was built in 1471.")}).json()
            eventually(lambda: http.get(f"/v1/documents/{added['id']}").json()["status"] == "ready")
            asked = {"model": "r2ag", "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 2}
            database.kill()
            for answer in (http.post("/v1/chat/completions", json=asked), http.get("/v1/documents")):
                assert answer.status_code == 503
                assert "127.0.0.1" not in answer.text
            database.start()
            assert http.post("/v1/chat/completions", json=asked).status_code == 200
            assert len(http.get("/v1/documents").json()["data"]) == 1
