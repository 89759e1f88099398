"""A collection of a Qdrant server: its address, requests that are tried again, and plain words for what goes wrong."""

from __future__ import annotations

import json
import os
import re
import time
import warnings
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
from qdrant_client import QdrantClient
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from r2ag.errors import InputError

PORT = 6333
REQUEST_SECONDS = 30
PATIENCE_SECONDS = 10.0
FIRST_PAUSE_SECONDS = 0.5
KEY = "QDRANT_API_KEY"
_COLLECTION = re.compile(r"[^/\\<>:\"|?*\0]{1,255}")
_THIS_MACHINE = frozenset(("localhost", "127.0.0.1", "::1"))
_PASSING = frozenset((408, 429, 500, 502, 503, 504))


class Collection:
    """Where a store's points are; `name` is the store's for people.

    Args:
        client: a QdrantClient, of a server or in process.
    """

    def __init__(self, client: Any, collection: str, name: str) -> None:
        self.client = client
        self.collection = collection
        self.name = name

    @classmethod
    def at(cls, location: str) -> Collection:
        """The one that qdrant+http://HOST:6333/COLLECTION names; the key is QDRANT_API_KEY's, where that is set.

        Raises:
            InputError: it is no such address, or the key can't be sent.
        """
        try:
            parts = urlsplit(location)
            host, port = parts.hostname or "", parts.port or PORT
        except ValueError:
            host, port = "", 0
        prefix, _, collection = unquote(parts.path if host else "").rpartition("/")
        if not host or parts.query or parts.fragment or not _COLLECTION.fullmatch(collection):
            raise InputError(
                "--store is no address of a Qdrant collection; write it as in qdrant+http://localhost:6333/notes, or "
                "with qdrant+https."
            )
        if parts.username is not None or parts.password is not None:
            raise InputError(f"--store takes no user or password for Qdrant; set {KEY} to the server's key.")
        key = os.environ.get(KEY, "")
        if not (key.isascii() and key.isprintable()):
            raise InputError(f"{KEY} holds characters that no key has; set it again.")
        if key and parts.scheme == "qdrant+http" and host not in _THIS_MACHINE:
            warnings.warn(f"The key in {KEY} goes to {host} for all to read; use qdrant+https.", stacklevel=2)
        shown = f"[{host}]" if ":" in host else host
        server = f"{parts.scheme.removeprefix('qdrant+')}://{shown}:{port}{prefix}"
        client = QdrantClient(url=server, api_key=key or None, timeout=REQUEST_SECONDS, check_compatibility=False)
        return cls(client, collection, f"qdrant+{server}/{collection}")

    def call(self, method: str, **arguments: Any) -> Any:
        """What a method of the client returns; what may pass is tried again for a while, after ever longer pauses.

        Each request is made so that it may be repeated.

        Raises:
            InputError: the server can't be reached, or refuses.
        """
        ends = time.monotonic() + PATIENCE_SECONDS
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                return getattr(self.client, method)(self.collection, **arguments)
            except (ResponseHandlingException, UnexpectedResponse, ResourceExhaustedResponse) as error:
                if not _may_pass(error) or time.monotonic() + pause > ends:
                    raise InputError(self._sentence(error)) from error
            except ValueError as error:  # it is not JSON, or not what Qdrant answers
                raise InputError(self._sentence(ResponseHandlingException(error))) from error
            time.sleep(pause)
            pause *= 2

    def _sentence(self, error: Exception) -> str:
        if isinstance(error, ResourceExhaustedResponse):
            return f"The Qdrant server of {self.name} takes no more requests for now; try again later."
        if isinstance(error, ResponseHandlingException):
            if not isinstance(error.source, httpx.TransportError):
                return f"{self.name} does not answer as Qdrant does; check the address."
            reason = str(error.source) or type(error.source).__name__
            return (
                f"The Qdrant server of {self.name} can't be reached ({reason}); check the address and that it runs, "
                "then give the same command again: what was done is kept."
            )
        assert isinstance(error, UnexpectedResponse)
        if error.status_code in (401, 403):
            return f"The Qdrant server of {self.name} refuses the key; set {KEY} to one that may read and write there."
        advice = "try again later" if error.status_code in _PASSING else "check the address, and the server's log"
        said = _said(error.content)
        return f"The Qdrant server of {self.name} answered with status {error.status_code}{said}; {advice}."


def _may_pass(error: Exception) -> bool:
    if isinstance(error, ResponseHandlingException):
        return isinstance(error.source, httpx.TransportError)
    return isinstance(error, ResourceExhaustedResponse) or error.status_code in _PASSING  # type: ignore[attr-defined]


def _said(body: bytes) -> str:
    """What the server says, where it says it as Qdrant does."""
    try:
        text = str(json.loads(body)["status"]["error"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return f" ({' '.join(text.split())[:200]})"
