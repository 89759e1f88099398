"""Errors in OpenAI's form: {"error": {"message", "type", "param", "code"}}."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from r2ag.errors import EngineError, InputError

logger = logging.getLogger(__name__)
_SENTENCES = {
    404: "There is no such address; /docs lists those there are.",
    405: "This address takes another method; /docs lists what there is.",
}


class ErrorDetail(BaseModel):
    """What went wrong; `param` names the field at fault."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(BaseModel):
    """What every error is answered with."""

    error: ErrorDetail


class ApiError(Exception):
    """An error with its HTTP status; the message is one plain sentence for the client."""

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.param = param
        self.code = code
        self.headers = dict(headers or {})


def error_body(error: ApiError) -> dict[str, Any]:
    """The error's JSON."""
    kind = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}.get(
        error.status, "invalid_request_error" if error.status < 500 else "server_error"
    )
    return {"error": {"message": str(error), "type": kind, "param": error.param, "code": error.code}}


def error_response(error: ApiError) -> JSONResponse:
    """The error as a response."""
    return JSONResponse(error_body(error), error.status, error.headers)


def as_api_error(error: BaseException) -> ApiError:
    """What a client is told of an exception."""
    match error:
        case ApiError():
            return error
        case EngineError(timed_out=True):
            sentence = "The engine that writes the answers takes too long; ask again later."
            return ApiError(504, sentence, code="timeout")
        case EngineError():  # it names machines, which clients don't learn
            sentence = "The engine that writes the answers failed; ask again in a moment. The server's log says why."
            return ApiError(502, sentence, code="engine_failed")
        case InputError():
            return ApiError(400, str(error))
        case TimeoutError():
            return ApiError(
                504, "The answer took longer than a request may; ask again later, or for less.", code="timeout"
            )
        case RequestValidationError():
            return _invalid(error.errors())
        case HTTPException():
            return ApiError(
                error.status_code, _SENTENCES.get(error.status_code, str(error.detail)), headers=error.headers
            )
    return ApiError(500, "The server failed at this request; its log says why.")


@contextmanager
def store_errors(event: str, done: str) -> Iterator[None]:
    """Logs what is wrong with the store: it may name folders and machines, which clients don't learn.

    Args:
        event: what the log calls it. done: what can't be done to the documents.

    Raises:
        ApiError: with what clients may know.
    """
    try:
        yield
    except InputError as error:
        logger.error(event, extra={"fields": {"reason": str(error)}})
        raise ApiError(503, f"The documents can't be {done} now; the server's log says why.") from None


def handle_errors(app: FastAPI) -> None:
    """Makes the app answer every error in OpenAI's form."""

    async def answer(request: Request, error: Exception) -> JSONResponse:
        return error_response(as_api_error(error))

    for kind in (ApiError, InputError, TimeoutError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, answer)


def _invalid(errors: Sequence[Any]) -> ApiError:
    """The first thing wrong with a request. What was sent is not repeated: it may be long, or not be valid text."""
    first = errors[0]
    if first["type"] == "json_invalid":
        return ApiError(400, f"The body is no valid JSON at character {first['loc'][-1]}; correct it.")
    # A union's branches and validators stand among the names; only fields and indices say where the fault is.
    place = ".".join(str(part) for part in first["loc"][1:] if isinstance(part, int) or str(part).islower())
    reason = str(first["msg"]).removeprefix("Value error, ").removesuffix(".")
    if first["type"] == "model_attributes_type":
        reason = "It must be a JSON object, sent as application/json"
    where = f"{place}: " if place else ""
    return ApiError(400, f"The request can't be used: {where}{reason}.", param=place or None)
