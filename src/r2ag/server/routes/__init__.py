"""The addresses; one file each."""

from __future__ import annotations

from typing import Any

from r2ag.server.errors import ApiError, ErrorBody

ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody, "description": description}
    for status, description in {
        400: "The request can't be used.",
        401: "An API key is missing.",
        403: "This key, or this page, may not do that.",
        404: "There is no such model, document or address.",
        408: "The request came too slowly.",
        413: "The body is too large.",
        421: "The server does not go by that name.",
        429: "The server is busy; Retry-After says when to try again.",
        500: "The server failed.",
        502: "The engine that writes the answers failed.",
        503: "The server can't answer now.",
        504: "The answer took too long.",
    }.items()
}
STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}}
"""What a route that can stream answers with besides JSON."""


def check_model(given: str, *known: str) -> None:
    """Refuses a model that this address does not have.

    Raises:
        ApiError: names those there are.
    """
    if given not in known:
        names = " and ".join(map(repr, known))
        raise ApiError(
            404, f"There is no model {given[:80]!r} here; this address has {names}.", "model", "model_not_found"
        )
