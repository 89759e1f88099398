"""With the real default models: what a person sees who asks."""

from __future__ import annotations

from typing import Any

import pytest

from r2ag.types import NOTHING_FOUND

pytestmark = [pytest.mark.model, pytest.mark.browser]

COFFEE = "Who invented the paper coffee filter?"


def test_ask_compare_cite_attend_follow_up_and_abstain(real: str, open_page: Any) -> None:
    opened = open_page(real)
    opened.page.get_by_label("Beside plain RAG").check()
    opened.ask(COFFEE)
    newest = opened.page.locator(".exchange").first
    assert "Bentz" in opened.text(".answer")
    assert opened.text(".plain .answer")
    assert newest.locator("mark").all_inner_texts()[0] in opened.text(".answer")
    assert newest.locator(".evidence > li").count() == 5
    assert newest.locator(".state").first.inner_text() == "cited"
    assert newest.locator(".evidence > li").first.locator(".bar").count() == 4

    newest.get_by_role("button", name="Where the answer looked").click()
    maps = newest.get_by_role("img")
    maps.first.wait_for()
    assert maps.count() == 2
    read = newest.locator(".state").filter(has_not_text="not read").count()
    assert maps.first.locator("rect").count() == 30 * read  # a cell for each layer and document
    assert "layer" in str(maps.first.get_attribute("aria-label"))

    opened.ask("How many hearts does an octopus have?")
    assert opened.text(".answer") == NOTHING_FOUND
    assert "so the LLM was not asked" in opened.text(".sentence")

    opened.page.reload()
    opened.page.locator("#conversations").get_by_role("button", name=COFFEE).click()
    assert opened.page.locator(".exchange").count() == 2
    assert "Bentz" in opened.page.locator(".exchange").last.inner_text()


def test_an_answer_is_written_piece_by_piece(real: str, open_page: Any) -> None:
    opened = open_page(real)
    opened.page.evaluate(
        """() => {
          window.seen = new Set();
          new MutationObserver(() => window.seen.add(document.querySelector(".answer")?.textContent))
            .observe(document.getElementById("exchanges"), { childList: true, subtree: true, characterData: true });
        }"""
    )
    opened.ask(COFFEE)
    seen = [text for text in opened.page.evaluate("[...window.seen]") if text]
    whole = opened.page.locator(".answer").first.text_content()
    assert len(seen) > 1
    assert all(whole.startswith(text) for text in seen)
