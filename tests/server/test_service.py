from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from r2ag.engines.transformers import TransformersEngine
from r2ag.errors import InputError
from r2ag.server.routes.answers import _lines
from r2ag.server.service import Service
from tests.test_pipeline import new_pipeline


class Logging(TransformersEngine):
    """An engine of somebody's own, which the server's batch would pass by."""


def test_an_engine_that_the_server_would_ignore_is_refused() -> None:
    pipeline = new_pipeline()
    reader = pipeline.reader
    reader.engine = Logging(reader.model.llm, reader.tokenizer, reader.builder.end_of_turn)
    with pytest.raises(InputError, match=r"can't use this pipeline's engine, Logging: .* without new_engine"):
        Service.of(pipeline)


def test_what_fails_in_the_middle_of_a_stream_is_told_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def events() -> AsyncIterator[dict[str, Any]]:
        yield {"piece": 1}
        raise RuntimeError("a secret folder")

    async def all_lines() -> list[str]:
        return [line async for line in _lines(events())]

    with caplog.at_level(logging.ERROR, logger="r2ag.server"):
        first, error, done = asyncio.run(all_lines())
    assert json.loads(first.removeprefix("data: ")) == {"piece": 1}
    assert "its log says why" in error
    assert "secret" not in error
    assert done == "data: [DONE]\n\n"
    assert "a secret folder" in caplog.text
