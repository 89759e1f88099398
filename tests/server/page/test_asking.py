"""Asking, with text from documents, models and errors that would be markup anywhere else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from r2ag.server.guard import load_keys
from tests.server.conftest import QUESTION, Running, new_store_service, running

pytestmark = pytest.mark.browser

HOSTILE = (
    '<img src=x onerror="alert(1)"><script>alert(2)</script><style>*{display:none}</style>&lt;b&gt; [x](javascript:1)'
)


def facts() -> dict[str, Any]:
    """The field `r2ag` of an answer, all of whose text is hostile."""
    names = dict.fromkeys(("id", "source", "title", "section", "place"), HOSTILE)
    features = {"relevance": 0.5, HOSTILE: 0.1}
    text = f"Before. {HOSTILE} After."
    document = {**names, "rank": 1, "text": text, "features": features, "relevance_probability": 0.9, "used": True}
    return {"question": HOSTILE, "abstained": False, "citations": [1], "documents": [document]}


def events(*chunks: dict[str, Any]) -> str:
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"


def answering(opened: Any, body: str, status: int = 200, kind: str = "text/event-stream") -> None:
    opened.page.route(
        "**/v1/chat/completions", lambda route: route.fulfill(status=status, body=body, content_type=kind)
    )


def test_hostile_documents_of_the_server_are_text(tiny: Running, open_page: Any) -> None:
    http = tiny.http()
    name = "hostile.txt"
    http.post("/v1/documents", files={"file": (name, HOSTILE.encode())})
    opened = open_page(tiny.url)
    opened.page.locator("#documents .ready").nth(3).wait_for()
    opened.page.get_by_label("Read every document found").check()
    opened.ask("Which img has a script and a style?")
    shown = opened.page.locator(".evidence .text").all_text_contents()
    assert any("<script>alert(2)</script>" in text for text in shown)
    assert opened.page.locator(".evidence img, .evidence script, .evidence style").count() == 0


def test_hostile_answers_are_text(tiny: Running, open_page: Any) -> None:
    opened = open_page(tiny.url)
    choice = {"index": 0, "delta": {"content": HOSTILE}, "finish_reason": None}
    ending = {"index": 0, "delta": {}, "finish_reason": "stop"}
    answering(opened, events({"choices": [choice]}, {"choices": [ending], "r2ag": facts()}))
    opened.ask(HOSTILE)
    assert opened.page.locator(".answer").first.text_content() == HOSTILE
    assert opened.page.locator(".exchange h2").text_content() == HOSTILE
    assert "<script>" in opened.text("mark")
    assert opened.page.locator("main img, main script, main style").count() == 0
    assert opened.page.locator("#conversations").get_by_role("button").first.text_content() == HOSTILE


def test_what_goes_wrong_is_said_where_it_was_asked(tiny: Running, open_page: Any) -> None:
    opened = open_page(tiny.url)
    piece = {"choices": [{"index": 0, "delta": {"content": "Half an"}, "finish_reason": None}]}
    answering(opened, events(piece, {"error": {"message": "The answer took longer than a request may."}}))
    opened.ask("One?")
    assert opened.text(".answer") == "Half an"
    assert opened.text(".problem") == "The answer took longer than a request may."
    answering(opened, json.dumps({"error": {"message": f"Busy. {HOSTILE}"}}), 429, "application/json")
    opened.ask("Two?")
    assert opened.text(".problem") == f"Busy. {HOSTILE}"
    opened.problems.remove(next(problem for problem in opened.problems if "429" in problem))


def test_an_answer_that_is_stopped_stays_as_it_is(tiny: Running, open_page: Any) -> None:
    opened = open_page(tiny.url)
    held: list[Any] = []
    opened.page.route("**/v1/chat/completions", lambda route: held.append(route))  # gets no answer
    opened.page.get_by_label("Ask your documents").fill("Slow?")
    opened.page.keyboard.press("Enter")
    opened.page.get_by_role("button", name="Stop").wait_for()
    opened.page.keyboard.press("Escape")
    opened.ends()
    assert opened.text(".problem") == "Stopped."
    for route in held:  # an open one is a task that outlives the page
        route.abort()


def test_the_page_asks_for_a_key_and_keeps_it_for_the_tab(tmp_path: Path, open_page: Any) -> None:
    key = "write-key-of-24-characters"
    service = new_store_service(tmp_path / "store")
    with running(service, load_keys(None, {"R2AG_WRITE_KEYS": key})) as server:
        http = server.http(headers={"Authorization": f"Bearer {key}"})
        http.post("/v1/documents", files={"file": ("a.md", b"# Bridge\n\nThe bridge is of stone.")})
        opened = open_page(server.url)
        dialog = opened.page.get_by_role("dialog", name="API key")
        dialog.get_by_label("Key").fill("a-wrong-key-of-some-length")
        dialog.get_by_role("button", name="Use it").click()
        dialog.get_by_label("Key").fill(key)
        dialog.get_by_role("button", name="Use it").click()
        opened.page.locator("#documents .ready").wait_for()
        opened.ask(QUESTION)
        assert opened.text(".answer")
        assert opened.page.evaluate("sessionStorage.getItem('r2ag.key')") == key
        assert key not in opened.page.evaluate("JSON.stringify(localStorage)")
        assert key not in opened.page.url
    opened.problems[:] = [problem for problem in opened.problems if "401" not in problem]


def test_history_is_forgotten_when_asked(tiny: Running, open_page: Any) -> None:
    opened = open_page(tiny.url)
    opened.ask(QUESTION)
    opened.page.get_by_role("button", name="New conversation").click()
    assert opened.page.locator(".exchange").count() == 0
    opened.page.locator("#conversations").get_by_role("button", name=QUESTION).click()
    assert opened.text(".exchange h2") == QUESTION
    opened.page.get_by_role("button", name="Forget it").click()
    opened.page.get_by_role("dialog").get_by_role("button", name="Forget them").click()
    opened.page.locator("#history").wait_for(state="hidden")
    assert opened.page.evaluate("localStorage.length") == 0
