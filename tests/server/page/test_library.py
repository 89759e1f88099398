"""Documents: dropped, chosen, refused, deleted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.server.conftest import Running

pytestmark = pytest.mark.browser

DROP = """([name, text]) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([text], name));
  document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""


def test_files_are_chosen_or_dropped_indexed_and_deleted(tiny: Running, open_page: Any, tmp_path: Path) -> None:
    opened = open_page(tiny.url)
    chosen = tmp_path / "chosen.md"
    chosen.write_text("# Chosen\n\nThis one was chosen.\n")
    opened.page.locator("#files").set_input_files(chosen)
    opened.page.evaluate(DROP, ["dropped.md", "# Dropped\n\nThis one was dropped.\n"])
    for name in ("chosen.md", "dropped.md"):
        opened.page.locator("#documents .ready", has_text=name).wait_for()
    assert opened.page.locator("#uploads li").count() == 0

    for name in ("chosen.md", "dropped.md"):
        opened.page.get_by_role("button", name=f"Delete {name}").click()
        opened.page.get_by_role("dialog").get_by_role("button", name="Delete it").click()
        opened.page.locator("#documents li", has_text=name).wait_for(state="detached")
    left = [document["name"] for document in tiny.http().get("/v1/documents").json()["data"]]
    assert not {"chosen.md", "dropped.md"} & set(left)


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
