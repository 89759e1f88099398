"""Servers on free ports, around tiny models; whoever asks them does so over HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import httpx
import pytest
from openai import OpenAI

from r2ag.pipeline import Pipeline
from r2ag.server.app import bind, create_app, new_server
from r2ag.server.guard import Keys, Limits
from r2ag.server.service import Service
from r2ag.store import Store
from tests.test_pipeline import QUESTION, new_pipeline
from tests.tiny import some_documents

__all__ = ["QUESTION", "Running", "running"]


@dataclass(frozen=True)
class Running:
    """A server at work."""

    url: str
    service: Service

    @property
    def pipeline(self) -> Pipeline:
        """What answers."""
        return self.service.pipeline

    def openai(self, key: str = "none") -> OpenAI:
        """The official client, which shall not try again."""
        return OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0, timeout=120)

    def http(self, **options: object) -> httpx.Client:
        """A plain client."""
        return httpx.Client(base_url=self.url, timeout=120, **options)  # type: ignore[arg-type]

    def metric(self, name: str) -> float:
        """A figure of /metrics without labels."""
        lines = self.http().get("/metrics").text.splitlines()
        return float(next(line for line in lines if line.startswith(f"{name} ")).split()[1])


@contextmanager
def running(service: Service, keys: Keys | None = None) -> Iterator[Running]:
    """Serves in a thread while the block lasts."""
    listening = bind("127.0.0.1", 0)
    server = new_server(create_app(service, keys), service.limits)
    thread = Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        eventually(lambda: server.started)
        yield Running(f"http://127.0.0.1:{listening.getsockname()[1]}", service)
    finally:
        server.should_exit = True
        thread.join(60)
        listening.close()
    assert not thread.is_alive()


def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Waits until something is so."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it never came about"
        time.sleep(0.01)


@pytest.fixture(scope="session")
def server() -> Iterator[Running]:
    """Holds six documents in memory, and never abstains."""
    pipeline = new_pipeline()
    pipeline.add(some_documents(6))
    with running(Service.of(pipeline)) as at_work:
        yield at_work


@pytest.fixture
def store_server(tmp_path: Path) -> Iterator[Running]:
    """Has an empty store."""
    with running(new_store_service(tmp_path / "store")) as at_work:
        yield at_work


def new_store_service(folder: Path, limits: Limits | None = None) -> Service:
    """Over a store, which is made where it is not there."""
    pipeline = new_pipeline()
    store = Store.create(folder, pipeline.encoder)
    pipeline.use(store)
    return Service.of(pipeline, store, limits=limits)
