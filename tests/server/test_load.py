"""Many clients, clients that leave, and a server that ends."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import httpx
import openai
import pytest

from r2ag.server.guard import Limits
from r2ag.server.service import Service
from tests.server.conftest import Running, eventually, new_store_service, running
from tests.test_pipeline import QUESTION, new_pipeline
from tests.tiny import some_documents

# A random LLM's answer that goes on for long.
LONG = {"model": "r2ag", "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 200, "stream": True}


def new_service(**limits: float) -> Service:
    pipeline = new_pipeline()
    pipeline.reader.engine.stop_tokens = [-1]  # so that an answer ends at its limit
    pipeline.add(some_documents(6))
    return Service.of(pipeline, limits=Limits(**limits))  # type: ignore[arg-type]


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> Event:
    """Tokens take their time until the event is set."""
    from r2ag.engines.batch import Batch

    hurry, step = Event(), Batch.step

    def slow_step(batch: Batch) -> None:
        hurry.wait(0.02)
        step(batch)

    monkeypatch.setattr(Batch, "step", slow_step)
    return hurry


@pytest.fixture
def small(slowly: Event) -> Iterator[Running]:
    """Two answers at a time, and one more request may wait."""
    with running(new_service(batch=2, queue=1)) as server:
        yield server
        slowly.set()


def test_answers_written_side_by_side_are_as_alone(slowly: Event) -> None:
    service = new_service(batch=3)
    slowly.set()
    with running(service) as server:
        asked = [(count, 4 * count) for count in range(1, 7)]
        texts = [f"{QUESTION} {'Or this one? ' * count}" for count, _ in asked]
        expected = [
            service.pipeline.ask(text, max_new_tokens=limit).text for text, (_, limit) in zip(texts, asked, strict=True)
        ]
        slowly.clear()
        sizes = set()

        def ask(index: int) -> str:
            response = server.openai().completions.create(model="r2ag", prompt=texts[index], max_tokens=asked[index][1])
            sizes.add(service.thread.writing)
            return response.choices[0].text

        with ThreadPoolExecutor(6) as clients:
            assert list(clients.map(ask, range(6))) == expected
        assert max(sizes) > 1
        assert service.slots.taken == 0


def test_a_full_queue_answers_429_and_says_when_to_come_back(small: Running) -> None:
    with ThreadPoolExecutor(3) as clients:
        streams = [clients.submit(lambda: small.http().post("/v1/chat/completions", json=LONG).text) for _ in range(3)]
        eventually(lambda: small.service.slots.taken == 3)
        with pytest.raises(openai.RateLimitError, match="The server is busy") as caught:
            small.openai().completions.create(model="r2ag", prompt=QUESTION)
        assert caught.value.response.headers["retry-after"] == "2"
        assert caught.value.code == "queue_full"
        assert small.http().post("/v1/rerank", json={"query": "q", "documents": ["d"]}).status_code == 429
        assert small.http().get("/ready").status_code == 503
        assert small.http().get("/health").status_code == 200
        assert small.metric("r2ag_places_taken") == 3
        assert small.metric("r2ag_answers_writing") == 2
        small_texts = [stream.result() for stream in streams]
    assert all(text.endswith("data: [DONE]\n\n") for text in small_texts)
    assert small.http().get("/ready").status_code == 200


def test_a_client_that_leaves_a_stream_frees_its_place(small: Running) -> None:
    with small.http().stream("POST", "/v1/chat/completions", json=LONG) as response:
        lines = response.iter_lines()  # kept: httpx hangs up when nobody holds the iterator
        assert '"role":"assistant"' in next(lines).replace(" ", "")
        assert small.service.thread.writing == 1
    eventually(lambda: small.service.slots.taken == small.service.thread.writing == 0, 3)


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_before_its_answer_frees_its_place(small: Running, stream: bool) -> None:
    others = [small.openai().chat.completions.create(**LONG) for _ in range(2)]
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{small.url}/v1/chat/completions", json={**LONG, "stream": stream}, timeout=0.3)
    eventually(lambda: small.service.slots.taken == 2, 3)
    for other in others:
        other.close()


def test_an_answer_that_takes_too_long_is_given_up(slowly: Event) -> None:
    with running(new_service(deadline_s=0.5)) as server:
        with pytest.raises(openai.InternalServerError, match="took longer") as caught:
            server.openai().completions.create(model="r2ag", prompt=QUESTION, max_tokens=200)
        assert caught.value.status_code == 504
        lines = server.http().post("/v1/chat/completions", json=LONG).text.split("\n\n")
        assert json.loads(lines[-3].removeprefix("data: "))["error"]["code"] == "timeout"
        assert lines[-2] == "data: [DONE]"
        eventually(lambda: server.service.slots.taken == server.service.thread.writing == 0, 3)
        slowly.set()


def test_what_runs_is_finished_when_the_server_ends(slowly: Event) -> None:
    with ThreadPoolExecutor(1) as clients:
        with running(new_service()) as server:
            answer = clients.submit(lambda: server.http().post("/v1/chat/completions", json=LONG).text)
            eventually(lambda: server.service.thread.writing == 1)
        assert answer.result().count('"content":') > 20
        assert answer.result().endswith("data: [DONE]\n\n")
    assert not server.service.thread.is_alive


def test_a_failure_costs_the_answers_that_were_being_written_alone(
    small: Running, slowly: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    from r2ag.engines.batch import Batch

    def failing(batch: Batch) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patched:
        patched.setattr(Batch, "step", failing)
        with pytest.raises(openai.InternalServerError, match="its log says why"):
            small.openai().completions.create(model="r2ag", prompt=QUESTION)
    slowly.set()
    assert small.openai().completions.create(model="r2ag", prompt=QUESTION).choices[0].text


def test_the_event_loop_stays_free_while_answers_are_written(small: Running) -> None:
    async def both() -> float:
        async with httpx.AsyncClient(base_url=small.url, timeout=60) as client:
            answer = asyncio.create_task(client.post("/v1/chat/completions", json={**LONG, "stream": False}))
            while not small.service.thread.writing:
                await asyncio.sleep(0.01)
            started = time.perf_counter()
            await client.get("/health")
            taken = time.perf_counter() - started
            assert small.service.thread.writing
            answer.cancel()
            return taken

    assert asyncio.run(both()) < 2


def test_nothing_is_read_of_the_store_for_a_request_that_has_no_place(tmp_path: Path) -> None:
    with running(new_store_service(tmp_path / "store", Limits(batch=1, queue=0))) as server:
        (tmp_path / "store/store.sqlite").write_bytes(b"no database" * 1000)
        server.service.slots.taken = 1
        response = server.http().post("/v1/completions", json={"model": "r2ag", "prompt": QUESTION})
        assert response.status_code == 429
