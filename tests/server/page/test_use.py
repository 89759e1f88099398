"""Who uses the page with a keyboard, a phone, a screen reader, at night."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.conftest import QUESTION, Running

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


def full_page(opened: Any) -> None:
    """With all that can be there: two answers, documents, attention."""
    opened.page.get_by_label("Beside plain RAG").check()
    opened.ask(QUESTION)
    opened.page.get_by_role("button", name="Where the answer looked").click()
    opened.page.locator(".attention").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("options", [{}, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing(tiny: Running, open_page: Any, scheme: str, options: dict[str, Any]) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs pip install 'r2ag[browser]'")
    opened = open_page(tiny.url, color_scheme=scheme, **options)
    full_page(opened)
    found = axe.Axe().run(opened.page).response["violations"]
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []
    opened.page.get_by_role("button", name="Delete bridge.md").click()
    assert axe.Axe().run(opened.page).response["violations"] == []


def test_all_fits_a_phone(tiny: Running, open_page: Any) -> None:
    opened = open_page(tiny.url, **PHONE)
    assert opened.has_no_sideways_scrolling()
    full_page(opened)
    assert opened.has_no_sideways_scrolling()
    opened.ask("x" * 300)
    assert opened.has_no_sideways_scrolling()


def test_dark_is_dark(tiny: Running, open_page: Any) -> None:
    def brightness(scheme: str) -> int:
        page = open_page(tiny.url, color_scheme=scheme).page
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in colour[4:-1].split(","))

    assert brightness("dark") < 150 < 600 < brightness("light")


def test_a_keyboard_is_enough(tiny: Running, open_page: Any) -> None:
    opened = open_page(tiny.url)
    page, keyboard = opened.page, opened.page.keyboard
    page.locator("#documents li").first.wait_for()
    keyboard.type(QUESTION)  # the question has the focus
    keyboard.press("Shift+Enter")
    keyboard.type("And why?")
    keyboard.press("Enter")
    opened.ends()
    assert opened.page.locator(".exchange h2").text_content() == f"{QUESTION}\nAnd why?"

    def go_to(selector: str) -> None:
        for _ in range(40):
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
            keyboard.press("Tab")
        raise AssertionError(f"{selector} can't be reached")

    go_to(".evidence li:last-child summary")
    was_open = page.locator(".evidence details").last.get_attribute("open")
    keyboard.press("Enter")
    assert page.locator(".evidence details").last.get_attribute("open") != was_open
    go_to(".why > button")
    keyboard.press("Enter")
    page.locator(".attention").wait_for()
    keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "question"
    assert page.locator("#question").input_value() == ""
    go_to("#documents button")
    keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="hidden")
