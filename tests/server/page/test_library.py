"""Documents: dropped, chosen, refused, deleted."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

import pytest

from tests.server.conftest import Running, eventually

pytestmark = pytest.mark.browser

DROP = """([name, text]) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([text], name));
  document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""

LIST = "**/v1/documents?*"


def drop(opened: Any, name: str) -> None:
    opened.page.evaluate(DROP, [name, f"# A file\n\nIts name is {name}.\n"])


def ready(opened: Any, name: str) -> Any:
    return opened.page.locator("#documents .ready", has_text=name)


def states(server: Running) -> dict[str, str]:
    return {document["name"]: document["status"] for document in server.http().get("/v1/documents").json()["data"]}


def held(opened: Any) -> list[Any]:
    """The next request for the list, which waits for its answer; those after it do not."""
    routes: list[Any] = []
    opened.page.route(LIST, lambda route: routes.append(route), times=1)
    return routes


def until(opened: Any, condition: Any) -> None:
    """Waits while the page goes on."""
    eventually(lambda: opened.page.wait_for_timeout(10) or condition())


def test_files_are_chosen_or_dropped_indexed_and_deleted(tiny: Running, open_page: Any, tmp_path: Path) -> None:
    opened = open_page(tiny.url)
    chosen = tmp_path / "chosen.md"
    chosen.write_text("# Chosen\n\nThis one was chosen.\n")
    opened.page.locator("#files").set_input_files(chosen)
    drop(opened, "dropped.md")
    for name in ("chosen.md", "dropped.md"):
        ready(opened, name).wait_for()
    assert opened.page.locator("#uploads li").count() == 0

    for name in ("chosen.md", "dropped.md"):
        opened.page.get_by_role("button", name=f"Delete {name}").click()
        opened.page.get_by_role("dialog").get_by_role("button", name="Delete it").click()
        opened.page.locator("#documents li", has_text=name).wait_for(state="detached")
    left = [document["name"] for document in tiny.http().get("/v1/documents").json()["data"]]
    assert not {"chosen.md", "dropped.md"} & set(left)


def test_a_file_that_is_dropped_before_the_list_is_there_is_not_lost(tiny: Running, open_page: Any) -> None:
    opened = open_page(tiny.url)
    routes = held(opened)
    opened.page.reload()
    until(opened, lambda: routes)
    drop(opened, "early.md")
    until(opened, lambda: "early.md" in states(tiny))
    routes[0].continue_()
    ready(opened, "early.md").wait_for()


def test_a_list_from_before_an_upload_does_not_hide_it(tiny: Running, open_page: Any) -> None:
    opened = open_page(tiny.url)
    ready(opened, "bridge.md").wait_for()
    routes = held(opened)
    drop(opened, "one.md")
    until(opened, lambda: routes and states(tiny)["one.md"] == "ready")
    old = tiny.http().get("/v1/documents?limit=1000").text
    drop(opened, "two.md")
    ready(opened, "two.md").wait_for()
    with opened.page.expect_response(LIST):
        routes[0].fulfill(body=old, content_type="application/json")
    opened.page.wait_for_timeout(300)
    assert ready(opened, "two.md").count() == 1


def test_the_list_goes_on_when_the_server_was_away(tiny: Running, open_page: Any) -> None:
    opened = open_page(tiny.url)
    ready(opened, "bridge.md").wait_for()
    gate = Event()
    tiny.service.thread.run(gate.wait)  # indexing needs the models' thread
    try:
        drop(opened, "slow.md")
        opened.page.locator("#documents .indexing", has_text="slow.md").wait_for()
        with opened.page.expect_event("requestfailed"):
            opened.page.route(LIST, lambda route: route.abort(), times=1)
    finally:
        gate.set()
    ready(opened, "slow.md").wait_for()
    opened.problems[:] = [problem for problem in opened.problems if "ERR_FAILED" not in problem]


def test_a_deletion_can_be_called_off(tiny: Running, open_page: Any) -> None:
    opened = open_page(tiny.url)
    opened.page.get_by_role("button", name="Delete bridge.md").click()
    opened.page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert opened.page.locator("#documents li", has_text="bridge.md").count() == 1


def test_a_file_that_is_refused_says_why(tiny: Running, open_page: Any) -> None:
    opened = open_page(tiny.url)
    opened.page.locator("#documents li").first.wait_for()
    opened.page.evaluate(DROP, ["film.mp4", "no text"])
    said = opened.page.locator("#uploads li")
    said.get_by_text("film.mp4'").wait_for()
    said.get_by_role("button", name="Dismiss").click()
    assert said.count() == 0
    opened.problems[:] = [problem for problem in opened.problems if "400" not in problem]


def test_documents_in_memory_are_nobodys_to_change(server: Running, open_page: Any) -> None:
    opened = open_page(server.url)
    opened.ask("Which bridge?")
    assert opened.page.locator("#library").is_hidden()
    opened.problems[:] = [problem for problem in opened.problems if "404" not in problem]
