"""One address of a server that speaks OpenAI's API: requests, patience and plain words for what goes wrong."""

from __future__ import annotations

import json
import os
import time
from typing import Any

import httpx

from r2ag.errors import InputError

ATTEMPTS = 4
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 20.0
MAX_RESPONSE_BYTES = 64_000_000
TIMEOUT = httpx.Timeout(60.0, connect=10.0)
_PASSING = frozenset((408, 409, 429, 500, 502, 503, 504))


class Endpoint:
    """Where requests for one model go.

    The key is OPENAI_API_KEY's, where that is set; it goes to this address alone (redirects are not followed).
    """

    def __init__(
        self,
        url: str,
        path: str,
        model: str,
        timeout: httpx.Timeout | float = TIMEOUT,
        first_pause: float = FIRST_PAUSE_SECONDS,
    ) -> None:
        """`url` ends where `path` follows, as in http://localhost:11434/v1.

        Raises:
            InputError: it is no http or https address, or the key can't be sent.
        """
        self.url = address(url, path)
        self.model = model
        self._first_pause = first_pause
        self._client = httpx.Client(timeout=timeout, headers=key_header())

    def post(self, request: dict[str, Any]) -> bytes:
        """The body of the answer to a request for the model; what may pass is tried again, after ever longer pauses.

        Raises:
            InputError: the server can't be reached, or refuses.
        """
        for attempt in range(ATTEMPTS):
            last = attempt == ATTEMPTS - 1
            pause = self._first_pause * 2**attempt
            try:
                with self._client.stream("POST", self.url, json={"model": self.model} | request) as response:
                    body = _limited_body(response)
            except (httpx.TransportError, httpx.DecodingError) as error:
                if last or isinstance(error, httpx.UnsupportedProtocol):
                    raise InputError(f"{self.url} can't be reached ({reason(error)}); check the address.") from error
            else:
                if body is None:
                    raise InputError(f"{self.url} answered with more than {MAX_RESPONSE_BYTES:,} bytes; check it.")
                if response.status_code == httpx.codes.OK:
                    return body
                if last or response.status_code not in _PASSING:
                    raise InputError(refusal(self.url, self.model, response.status_code, body))
                pause = max(pause, _asked_pause(response))
            time.sleep(min(pause, LONGEST_PAUSE_SECONDS))
        raise AssertionError("The last attempt returns or raises.")


def address(url: str, path: str) -> str:
    """Where requests go; `url` ends where `path` follows.

    Raises:
        InputError: it is no http or https address.
    """
    whole = f"{url.rstrip('/')}/{path}"
    try:
        given = httpx.URL(whole)
    except httpx.InvalidURL:
        given = httpx.URL()
    if given.scheme not in ("http", "https") or not given.host:
        raise InputError(f"{url!r} is no address of a server; give one as in http://localhost:11434/v1.")
    return whole


def key_header() -> dict[str, str]:
    """What OPENAI_API_KEY's key is sent as, where that is set.

    Raises:
        InputError: it can't be sent.
    """
    key = os.environ.get("OPENAI_API_KEY", "")
    if not (key.isascii() and key.isprintable()):
        raise InputError("OPENAI_API_KEY holds characters that no key has; set it again.")
    return {"Authorization": f"Bearer {key}"} if key else {}


def reason(error: Exception) -> str:
    """What a client's error says; some say nothing but their name."""
    return str(error) or type(error).__name__


def refusal(url: str, model: str, status: int, body: bytes) -> str:
    """A status that is none of success, in a sentence with advice."""
    advice = {
        401: "set OPENAI_API_KEY to a key of this server",
        403: "set OPENAI_API_KEY to a key of this server",
        404: f"check the address and the model's name, {model}",
    }.get(status, "try again later" if status in _PASSING else f"check the model's name, {model}")
    said = " ".join(_message(body).split())[:200]
    return f"{url} refused with status {status}{f' ({said})' if said else ''}; {advice}."


def _limited_body(response: httpx.Response) -> bytes | None:
    """The body, or None where it is too long."""
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if len(body) > MAX_RESPONSE_BYTES:
            return None
    return bytes(body)


def _message(body: bytes) -> str:
    """What the server says, where it says it as OpenAI's does."""
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


def _asked_pause(response: httpx.Response) -> float:
    seconds = response.headers.get("retry-after", "")
    return float(seconds) if seconds.isascii() and seconds.isdigit() else 0.0
