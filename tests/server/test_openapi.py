"""Requests that schemathesis makes up from the server's own OpenAPI: none fails, each is answered as described."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.server.conftest import Running

OPERATIONS = 14


def not_a_server_error(context: object, response: schemathesis.Response, case: schemathesis.Case) -> None:
    """Schemathesis' own allows none of the 5xx; this server has no reason for one."""
    assert response.status_code < 500, response.text


CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_whatever_is_sent_is_answered_as_described(store_server: Running, mode: GenerationMode) -> None:
    store_server.http().post("/v1/documents", files={"file": ("a.md", b"# A\n\nThe bridge was built in 1471.\n")})
    schema = schemathesis.openapi.from_url(f"{store_server.url}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) == OPERATIONS
    sent = set()
    for operation in operations:
        if mode is GenerationMode.NEGATIVE and not operation.body:  # any text is a valid id
            continue

        @settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case: schemathesis.Case) -> None:
            response = case.call_and_validate(base_url=store_server.url, checks=CHECKS, timeout=120)
            sent.add((operation.label, response.status_code))  # noqa: B023 - called at once

        check()
    if mode is GenerationMode.NEGATIVE:
        assert {status for label, status in sent if label == "POST /v1/completions"} >= {400}


def test_it_is_described_as_it_answers(server: Running) -> None:
    schema = server.http().get("/openapi.json").json()
    assert schema["security"] == [{}, {"key": []}]
    assert schema["components"]["securitySchemes"] == {"key": {"type": "http", "scheme": "bearer"}}
    operations = [operation for methods in schema["paths"].values() for operation in methods.values()]
    assert len(operations) == OPERATIONS
    for operation in operations:
        assert {"400", "401"} <= set(operation["responses"])
        assert "422" not in operation["responses"]  # FastAPI's own, which this server never gives
    assert not {"HTTPValidationError", "ValidationError"} & set(schema["components"]["schemas"])


def test_the_documentation_loads_nothing_from_elsewhere(server: Running) -> None:
    page = server.http().get("/docs").text
    assert "swagger" in page
    assert "https://" not in page
    script = page.split('<script src="')[1].split('"')[0]
    assert server.http().get(script).status_code == 200
