"""The page in a real browser: Chromium where there is one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from r2ag.samples import documents_folder
from tests.cli.test_serve import serving
from tests.server.conftest import Running, eventually, new_store_service, running

playwright = pytest.importorskip("playwright.sync_api", reason="needs pip install 'r2ag[browser]'")

NAMES = ("chromium", "chromium-browser", "google-chrome")
SLOW_MS = 120_000


@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("there is no Chromium on this machine")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with a store of three documents, and a tiny LLM that writes nonsense."""
    with running(new_store_service(tmp_path_factory.mktemp("tiny") / "store")) as server:
        for name in ("bridge", "tower", "mill"):
            text = f"# The {name}\n\nThe {name} was built of stone in 1471.\n".encode()
            server.http().post("/v1/documents", files={"file": (f"{name}.md", text)})
        eventually(lambda: all(d["status"] == "ready" for d in server.http().get("/v1/documents").json()["data"]))
        yield server


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `r2ag serve` with the real default models; some sample documents were sent to its store."""
    with serving("--store", tmp_path_factory.mktemp("real") / "store") as process:
        address = f"{process.url}/v1/documents"
        for file in sorted(Path(documents_folder()).glob("coffee-*.md")):
            httpx.post(address, files={"file": (file.name, file.read_bytes())}, timeout=120)
        eventually(lambda: all(d["status"] == "ready" for d in httpx.get(address).json()["data"]), 300)
        yield process.url


class Page:
    """A page, and what went wrong in it."""

    def __init__(self, page: Any, url: str) -> None:
        self.page = page
        self.problems: list[str] = []
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", lambda message: message.type == "error" and self.problems.append(message.text))
        page.on("dialog", lambda dialog: (self.problems.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: request.url.startswith(url) or self.problems.append(request.url))
        page.set_default_timeout(SLOW_MS)
        page.goto(url)

    def ask(self, question: str) -> None:
        """Asks, and waits for the end of the answer."""
        self.page.get_by_label("Ask your documents").fill(question)
        self.page.get_by_role("button", name="Ask", exact=True).click()
        self.ends()

    def ends(self) -> None:
        """Waits until nothing is being written."""
        self.page.locator(".writing").wait_for(state="detached")
        self.page.get_by_role("button", name="Ask", exact=True).wait_for()

    def text(self, selector: str) -> str:
        """What is shown at the first match."""
        return str(self.page.locator(selector).first.inner_text())

    def has_no_sideways_scrolling(self) -> bool:
        """Whether all fits the width."""
        widths = self.page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        return bool(widths[0] <= widths[1])


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Any]:
    """Opens an address in a window of its own; a page that had any problem fails its test."""
    contexts, pages = [], []

    def open_one(url: str, **options: Any) -> Page:
        contexts.append(chromium.new_context(**options))
        pages.append(Page(contexts[-1].new_page(), url))
        return pages[-1]

    yield open_one
    for context in contexts:
        context.close()
    assert [page.problems for page in pages] == [[] for _ in pages]
