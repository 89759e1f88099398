"""What is uploaded, found, replaced and deleted."""

from __future__ import annotations

import errno
import io
import os
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

import r2ag.server.library
from r2ag.server.errors import ApiError
from r2ag.server.guard import Limits
from r2ag.server.library import StoredDocument, uploads_folder
from r2ag.server.service import Service
from r2ag.store import Store, index_files
from tests.server.conftest import QUESTION, Running, eventually, new_store_service, running
from tests.test_pipeline import new_pipeline

BRIDGE = b"# The bridge\n\nThe bridge was built in 1471.\n"


def upload(server: Running, name: str, content: bytes = BRIDGE) -> Any:
    return server.http().post("/v1/documents", files={"file": (name, content)})


def added(server: Running, name: str, content: bytes = BRIDGE) -> dict[str, Any]:
    """A document that has been indexed, or has failed."""
    response = upload(server, name, content)
    assert response.status_code == 202, response.text
    id_ = response.json()["id"]
    eventually(lambda: document(server, id_)["status"] != "indexing")
    return document(server, id_)


def document(server: Running, id_: str) -> dict[str, Any]:
    fields: dict[str, Any] = server.http().get(f"/v1/documents/{id_}").json()
    return fields


def names(server: Running) -> list[str]:
    return sorted(entry["name"] for entry in server.http().get("/v1/documents").json()["data"])


def ask(server: Running) -> Any:
    body = {"model": "r2ag", "prompt": QUESTION, "max_tokens": 1}
    return server.http().post("/v1/completions", json=body)


def test_a_document_is_added_found_and_deleted(store_server: Running) -> None:
    assert "There are no documents yet" in ask(store_server).json()["error"]["message"]
    entry = added(store_server, "bridge.md")
    assert (entry["status"], entry["name"], entry["bytes"]) == ("ready", "bridge.md", len(BRIDGE))
    (found,) = ask(store_server).json()["r2ag"]["documents"]
    assert (found["id"], found["source"], found["title"]) == (entry["id"], "bridge.md", "The bridge")
    added(store_server, "town.txt", b"The town.")
    assert names(store_server) == ["bridge.md", "town.txt"]
    deleted = store_server.http().delete(f"/v1/documents/{entry['id']}")
    assert deleted.json() == {"id": entry["id"], "object": "document", "deleted": True}
    assert [d["source"] for d in ask(store_server).json()["r2ag"]["documents"]] == ["town.txt"]
    assert store_server.http().get(f"/v1/documents/{entry['id']}").status_code == 404
    assert store_server.http().delete(f"/v1/documents/{entry['id']}").json()["error"]["code"] == "document_not_found"
    assert names(store_server) == ["town.txt"]


def test_the_same_name_replaces_and_the_same_bytes_change_nothing(store_server: Running) -> None:
    first = added(store_server, "a.md")
    assert added(store_server, "a.md")["id"] == first["id"]
    assert added(store_server, "a.md", b"# Another\n\nText.\n")["bytes"] == 17
    (found,) = ask(store_server).json()["r2ag"]["documents"]
    assert found["title"] == "Another"


@pytest.mark.parametrize(
    "name",
    [
        "../../x.md",
        "..\\x.md",
        "/etc/x.md",
        "a/b.md",
        ".hidden.md",
        "..",
        "x" * 300 + ".md",
        " .md",
        "x.exe",
        "x",
    ],
)
def test_no_upload_leaves_its_folder(store_server: Running, name: str) -> None:
    folder = store_server.service.library._folder.parent  # type: ignore[union-attr]
    before = sorted(path for path in folder.parent.rglob("*") if "uploads" in path.parts)
    response = upload(store_server, name)
    assert response.status_code == 400
    assert str(folder) not in response.text
    assert sorted(path for path in folder.parent.rglob("*") if "uploads" in path.parts) == before


def test_what_cannot_be_read_says_why_and_is_not_kept(store_server: Running) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for part in range(6):
            archive.writestr(f"word/{part}.xml", b"\0" * 100_000_000)
    entry = added(store_server, "bomb.docx", bomb.getvalue())
    assert entry["status"] == "failed"
    assert "unpack to more than 500 MB" in entry["reason"]
    assert added(store_server, "broken.pdf", b"no pdf")["status"] == "failed"
    assert upload(store_server, "empty.md", b"").status_code == 400
    assert not list((store_server.service.library._folder).iterdir())  # type: ignore[union-attr]


def test_scripts_in_html_are_no_part_of_its_text(store_server: Running) -> None:
    added(store_server, "page.html", b"<h1>Bridge</h1><script>alert(1)</script><p>Built in 1471 &lt;b&gt;.</p>")
    (found,) = ask(store_server).json()["r2ag"]["documents"]
    assert "alert" not in found["text"]


def test_files_indexed_by_the_command_are_listed_without_their_folders(tmp_path: Path) -> None:
    service = new_store_service(tmp_path / "store")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/bridge.md").write_bytes(BRIDGE)
    index_files(Store.open(tmp_path / "store"), [tmp_path / "notes"], service.pipeline.encoder)
    with running(service) as server:
        (entry,) = server.http().get("/v1/documents").json()["data"]
        response = ask(server).text
        assert "bridge.md" in response
        assert str(tmp_path) not in response
        assert server.http().delete(f"/v1/documents/{entry['id']}").status_code == 200
        assert names(server) == []
        assert (tmp_path / "notes/bridge.md").exists()


def test_a_slow_disk_keeps_only_the_upload_waiting(store_server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    added(store_server, "bridge.md")
    writing, is_free = Event(), Event()
    replace = Path.replace

    def replace_late(path: Path, target: Path) -> Path:
        writing.set()
        is_free.wait(60)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", replace_late)
    with ThreadPoolExecutor(1) as client:
        late = client.submit(upload, store_server, "late.md")
        try:
            assert writing.wait(60)
            body = {"model": "r2ag", "prompt": QUESTION, "max_tokens": 1}
            answer = httpx.post(f"{store_server.url}/v1/completions", json=body, timeout=10)
            assert answer.status_code == 200
            assert not late.done()
        finally:
            is_free.set()
        assert late.result().status_code == 202


def test_an_upload_that_fails_leaves_nothing_and_takes_nothing(
    store_server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = added(store_server, "bridge.md")
    library = store_server.service.library
    assert library is not None

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", fail)
        assert upload(store_server, "bridge.md", b"# Another").status_code == 500
    assert [(file.name, file.read_bytes()) for file in library._folder.iterdir()] == [("bridge.md", BRIDGE)]
    assert document(store_server, before["id"]) == before


def test_a_list_comes_in_pages(store_server: Running) -> None:
    for number in range(5):
        added(store_server, f"{number}.md")
    http, seen, after = store_server.http(), [], ""
    while True:
        page = http.get("/v1/documents", params={"limit": 2, "after": after}).json()
        seen += [entry["id"] for entry in page["data"]]
        if not page["has_more"]:
            break
        after = seen[-1]
    assert len(set(seen)) == len(seen) == 5
    assert http.get("/v1/documents", params={"limit": 0}).status_code == 400


def test_questions_are_answered_while_documents_are_indexed_and_deleted(store_server: Running) -> None:
    added(store_server, "bridge.md")
    done, failures = Event(), []

    def ask_on() -> None:
        while not done.is_set():
            if ask(store_server).status_code != 200:
                failures.append(ask(store_server).text)

    asking = Thread(target=ask_on)
    asking.start()
    for number in range(4):
        text = "\n\n".join(f"The town number {number}.{line} was built by a mason." for line in range(40))
        entry = added(store_server, f"{number}.md", text.encode())
        store_server.http().delete(f"/v1/documents/{entry['id']}")
    done.set()
    asking.join()
    assert failures == []
    assert names(store_server) == ["bridge.md"]


def test_a_document_that_becomes_ready_while_the_list_is_made_is_in_it(
    store_server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    added(store_server, "first.md")
    library, gate = store_server.service.library, Event()
    assert library is not None
    store_server.service.thread.run(gate.wait)  # indexing needs the models' thread
    upload(store_server, "second.md")
    make = r2ag.server.library._document

    def make_late(*of_file: Any) -> StoredDocument:
        gate.set()
        eventually(lambda: not library._uploads)
        return make(*of_file)

    monkeypatch.setattr(r2ag.server.library, "_document", make_late)
    assert names(store_server) == ["first.md", "second.md"]


def test_an_upload_that_was_not_indexed_before_a_crash_is_indexed_at_the_next_start(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    with running(new_store_service(folder)) as server:
        gone = added(server, "gone.md")
    (folder / "uploads/late.md").write_bytes(BRIDGE)
    (folder / "uploads/gone.md").unlink()
    with running(new_store_service(folder)) as server:
        eventually(lambda: names(server) == ["late.md"])
        assert gone["id"] not in str(server.http().get("/v1/documents").json())


def settled(server: Running) -> None:
    """What was asked of the store's documents is done."""
    library = server.service.library
    assert library is not None
    library._work.submit(int).result(60)


def test_the_last_file_that_went_while_no_server_ran_is_forgotten(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    with running(new_store_service(folder)) as server:
        added(server, "gone.md")
    (folder / "uploads/gone.md").unlink()
    with running(new_store_service(folder)) as server:
        settled(server)
        assert names(server) == []


def test_an_empty_folder_elsewhere_says_nothing_of_the_uploads_that_a_store_knows(tmp_path: Path) -> None:
    def service() -> Service:
        pipeline = new_pipeline()
        store = Store.create(tmp_path / "store", pipeline.encoder)
        pipeline.use(store)
        return Service.of(pipeline, store, uploads=tmp_path / "shared")

    with running(service()) as server:
        added(server, "a.md")
    (tmp_path / "shared/a.md").unlink()
    with running(service()) as server:
        settled(server)
        assert names(server) == ["a.md"]


def test_a_store_that_was_moved_has_its_uploads_once(tmp_path: Path) -> None:
    with running(new_store_service(tmp_path / "store")) as server:
        added(server, "a.md")
        added(server, "b.md", b"The town.")
    own = tmp_path / "uploads/b.md"
    own.parent.mkdir()
    own.write_bytes(b"The town of somebody's own.")
    (tmp_path / "store").rename(tmp_path / "moved")
    service = new_store_service(tmp_path / "moved")
    index_files(Store.open(tmp_path / "moved"), [own], service.pipeline.encoder)
    with running(service) as server:
        settled(server)
        assert names(server) == ["a.md", "b.md", "b.md"]
    with Store.open(tmp_path / "moved").snapshot() as snapshot:
        assert set(snapshot.files()) == {str(tmp_path / "moved/uploads" / name) for name in ("a.md", "b.md")} | {
            str(own)
        }


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere settings and data share a folder")
def test_uploads_are_data_and_no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SimpleNamespace(name="postgresql://db.example.org/notes")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert uploads_folder(store).parent == tmp_path / ".local/share/r2ag/uploads"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert uploads_folder(store).parent == tmp_path / "data/r2ag/uploads"


def test_a_store_that_another_process_writes_loses_no_upload_and_no_deletion(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    with running(new_store_service(folder)) as server:
        entry = added(server, "a.md")
        with Store.open(folder).writing():
            refused = server.http().delete(f"/v1/documents/{entry['id']}")
            late = added(server, "late.md")
        assert refused.status_code == 503
        assert "can't be changed now" in refused.json()["error"]["message"]
        assert str(tmp_path) not in refused.text
        assert document(server, entry["id"])["status"] == "ready"
        assert late["status"] == "failed"
        assert "Upload it again" in late["reason"]
        assert sorted(file.name for file in (folder / "uploads").iterdir()) == ["a.md", "late.md"]
        assert server.http().delete(f"/v1/documents/{entry['id']}").status_code == 200
        assert names(server) == ["late.md"]
    with running(new_store_service(folder)) as server:
        settled(server)
        assert document(server, late["id"])["status"] == "ready"
        assert names(server) == ["late.md"]


def test_a_deletion_that_fails_leaves_what_was_to_be_indexed(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    with running(new_store_service(folder)) as server:
        entry = added(server, "a.md")
        library, gate = server.service.library, Event()
        assert library is not None
        server.service.thread.run(gate.wait)  # indexing needs the models' thread
        upload(server, "b.md")
        upload(server, "a.md", b"# Another")
        with Store.open(folder).writing():
            deletion = library.delete(entry["id"])
            gate.set()
            with pytest.raises(ApiError):
                deletion.result(60)
            settled(server)
        kept = document(server, entry["id"])
        assert (kept["status"], kept["bytes"]) == ("failed", len(b"# Another"))
        assert (folder / "uploads/a.md").read_bytes() == b"# Another"


def test_an_upload_after_a_deletion_stays(store_server: Running) -> None:
    entry = added(store_server, "a.md")
    library, gate = store_server.service.library, Event()
    assert library is not None
    store_server.service.thread.run(gate.wait)  # indexing needs the models' thread
    upload(store_server, "b.md")
    deletion = library.delete(entry["id"])
    upload(store_server, "a.md", b"# Another")
    gate.set()
    deletion.result(60)
    settled(store_server)
    assert document(store_server, entry["id"])["bytes"] == len(b"# Another")
    assert names(store_server) == ["a.md", "b.md"]


def test_an_upload_that_waits_can_be_deleted(store_server: Running) -> None:
    library, gate = store_server.service.library, Event()
    assert library is not None
    store_server.service.thread.run(gate.wait)  # indexing needs the models' thread
    upload(store_server, "a.md")
    entry = upload(store_server, "b.md").json()
    deletion = library.delete(entry["id"])
    gate.set()
    deletion.result(60)
    assert names(store_server) == ["a.md"]
    assert [file.name for file in library._folder.iterdir()] == ["a.md"]


def test_documents_of_a_store_whose_name_is_not_utf_8(tmp_path: Path) -> None:
    with running(new_store_service(tmp_path / os.fsdecode(b"caf\xe9"))) as server:
        entry = added(server, "a.md")
        assert names(server) == ["a.md"]
        assert server.http().delete(f"/v1/documents/{entry['id']}").status_code == 200
        assert names(server) == []


def test_without_a_store_nothing_can_be_added(server: Running) -> None:
    response = upload(server, "a.md")
    assert response.status_code == 404
    assert "r2ag serve --store DIR" in response.json()["error"]["message"]


def test_large_files_are_refused(tmp_path: Path) -> None:
    with running(new_store_service(tmp_path / "store", Limits(upload_bytes=1000))) as server:
        assert upload(server, "a.md", b"x" * 1001).status_code == 413
        assert upload(server, "a.md", b"x" * 100_000).status_code == 413
        assert upload(server, "a.md", b"x" * 1000).status_code == 202


def test_what_cannot_be_searched_is_no_fault_of_the_client_and_names_no_folder(tmp_path: Path) -> None:
    with running(new_store_service(tmp_path / "store")) as server:
        added(server, "a.md")
        database = tmp_path / "store/store.sqlite"
        database.write_bytes(b"no database" * 1000)
        response = ask(server)
        assert response.status_code == 503
        assert server.http().get("/v1/documents").status_code == 503
        assert str(tmp_path) not in response.text


def test_a_condition_chooses_among_the_documents(store_server: Running) -> None:
    added(store_server, "a.md")
    added(store_server, "b.md")
    body = {"model": "r2ag", "prompt": QUESTION, "where": "source like '%b.md'", "max_tokens": 1}
    response = store_server.http().post("/v1/completions", json=body)
    assert [d["source"] for d in response.json()["r2ag"]["documents"]] == ["b.md"], response.text
    wrong = store_server.http().post("/v1/completions", json={**body, "where": "source ~ x"})
    assert wrong.status_code == 400
    assert "where" in wrong.json()["error"]["message"]
