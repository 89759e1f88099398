"""Limits of requests, and what each must pass before it is read: checks of its Host, Origin, key and size.

A key allows to read (ask, rerank, embed, list), or also to write (add and delete documents).
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from r2ag.errors import InputError
from r2ag.server.errors import ApiError, error_response

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
OPEN_PATHS = ("/page", "/health", "/ready", "/docs", "/openapi.json", "/static-offline-docs")
WRITE_PATH = "/v1/documents"
MULTIPART_BYTES = 10_000  # what a form takes besides its file
# Otherwise the rest of a body would be read, however long it is.
_CLOSE = {"Connection": "close"}
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
LEAST_CHARACTERS = 16
_FORM = "each line is `read KEY` or `write KEY`"


@dataclass(frozen=True)
class Limits:
    """Bounds of the server; sizes in bytes, times in seconds."""

    batch: int = 8  # answers that are written side by side
    queue: int = 32  # requests that may wait besides; the next one gets 429
    deadline_s: float = 120.0  # from a request's arrival to the end of its answer
    retry_after_s: int = 2
    body_bytes: int = 4_000_000
    body_s: float = 30.0  # for a client to send its body
    upload_bytes: int = 20_000_000
    document_characters: int = 50_000  # of each document or text in a request
    texts: int = 256  # in a request for embeddings
    new_tokens: int = 1024


class Slots:
    """Counts requests that are at work or wait, up to the limit; for one event loop."""

    def __init__(self, limits: Limits) -> None:
        self.taken = 0
        self._limits = limits

    @property
    def are_free(self) -> bool:
        """Whether one more request is accepted."""
        return self.taken < self._limits.batch + self._limits.queue

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Holds a slot while the block runs.

        Raises:
            ApiError: all are taken (429, with Retry-After).
            TimeoutError: the block takes longer than the deadline.
        """
        if not self.are_free:
            raise ApiError(
                429,
                f"The server is busy: {self.taken} requests are at work or waiting. Try again in a moment.",
                code="queue_full",
                headers={"Retry-After": str(self._limits.retry_after_s)},
            )
        self.taken += 1
        try:
            async with asyncio.timeout(self._limits.deadline_s):
                yield
        finally:
            self.taken -= 1


@dataclass(frozen=True)
class Keys:
    """SHA-256 digests of the keys. Without keys, everybody may read and write."""

    read: frozenset[bytes] = frozenset()
    write: frozenset[bytes] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.read or self.write)

    def may_read(self, key: str) -> bool:
        """Whether a key allows reading; a key for writing does, too."""
        return not self or _is_among(key, self.read | self.write)

    def may_write(self, key: str) -> bool:
        """Whether a key allows writing."""
        return not self or _is_among(key, self.write)


@dataclass(frozen=True)
class Guard:
    """The outermost middleware but the log.

    A page from elsewhere can make a browser send requests here, by a name that its owner points at this machine (DNS
    rebinding) or with a form, which no CORS header prevents: hence the names that are answered to, and the Origin.

    Args:
        hosts: names that the Host header may hold, without ports.
    """

    app: ASGIApp
    hosts: frozenset[str]
    keys: Keys
    limits: Limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or refuses it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        try:
            self._check(scope)
        except ApiError as error:
            error.headers |= _CLOSE
            await error_response(error)(scope, receive, send)
            return
        await self.app(scope, self._bounded(receive, self._most_bytes(scope)), send)

    def _check(self, scope: Scope) -> None:
        if scope["type"] != "http":
            raise ApiError(403, "This server speaks HTTP alone.")
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if _place(f"//{host}").hostname not in self.hosts:
            raise ApiError(
                421, "This server does not go by the name in the Host header; r2ag serve --allow-host adds a name."
            )
        origin = headers.get("origin")
        if origin is not None and _place(origin).netloc != host.lower():
            raise ApiError(403, "Pages from elsewhere may not use this server (the Origin header is not its own).")
        path = scope["path"]
        if int(headers.get("content-length", "0")) > self._most_bytes(scope):
            raise ApiError(413, _too_large(self._most_bytes(scope)))
        if path != "/" and not any(path == each or path.startswith(f"{each}/") for each in OPEN_PATHS):
            self._check_key(headers, writes=path.startswith(WRITE_PATH) and scope["method"] not in _READING)

    def _check_key(self, headers: Headers, writes: bool) -> None:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        key = key.strip() if scheme.lower() == "bearer" else ""
        if not self.keys.may_read(key):
            raise ApiError(
                401,
                "This server needs an API key, as in Authorization: Bearer KEY.",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if writes and not self.keys.may_write(key):
            raise ApiError(403, "This API key may read and not write; adding and deleting documents takes another.")

    def _most_bytes(self, scope: Scope) -> int:
        is_upload = scope["path"].startswith(WRITE_PATH)
        return self.limits.upload_bytes + MULTIPART_BYTES if is_upload else self.limits.body_bytes

    def _bounded(self, receive: Receive, most_bytes: int) -> Receive:
        """Limits a body to `most_bytes` and `limits.body_s` seconds; messages after it have no limit.

        It raises HTTPExceptions, since FastAPI takes other exceptions for a body that it can't parse.
        """
        ends = asyncio.get_running_loop().time() + self.limits.body_s
        received, is_whole = 0, False

        async def receive_bounded() -> Message:
            nonlocal received, is_whole
            if is_whole:
                return await receive()
            try:
                async with asyncio.timeout_at(ends):
                    message = await receive()
            except TimeoutError:
                sentence = f"The request did not arrive within {self.limits.body_s:g} seconds."
                raise HTTPException(408, sentence, _CLOSE) from None
            received += len(message.get("body", b""))
            if received > most_bytes:
                raise HTTPException(413, _too_large(most_bytes), _CLOSE)
            is_whole = message["type"] == "http.request" and not message.get("more_body", False)
            return message

        return receive_bounded


def _too_large(most_bytes: int) -> str:
    return f"The request's body is larger than {most_bytes:,} bytes; send less at once."


def _place(address: str) -> SplitResult:
    """The parts of an address, in lower case; empty if it is not valid."""
    try:
        return urlsplit(address.lower())
    except ValueError:
        return urlsplit("")


def load_keys(file: Path | None, environment: Mapping[str, str]) -> Keys:
    """Reads the keys of a file and of the variables R2AG_READ_KEYS and R2AG_WRITE_KEYS (separated by commas).

    Raises:
        InputError: the file can't be read, or a key is too short to be one.
    """
    keys = [
        (right, key.strip(), f"in {variable}")
        for right, variable in (("read", "R2AG_READ_KEYS"), ("write", "R2AG_WRITE_KEYS"))
        for key in environment.get(variable, "").split(",")
        if key.strip()
    ]
    if file is not None:
        keys += _of_file(file)
    for _, key, where in keys:
        if len(key) < LEAST_CHARACTERS or not (key.isascii() and key.isprintable()):
            sentence = f"The key {where} is too easily guessed; use at least {LEAST_CHARACTERS} ASCII characters."
            raise InputError(sentence)
    return Keys(*(frozenset(_digest(key) for own, key, _ in keys if own == right) for right in ("read", "write")))


def _of_file(file: Path) -> list[tuple[str, str, str]]:
    """Each key's right, the key, and its place for error messages."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise InputError(f"The keys in {file} can't be read ({reason}); {_FORM}.") from None
    keys: list[tuple[str, str, str]] = []
    for number, line in enumerate(lines, start=1):
        match line.split():
            case [("read" | "write") as right, key]:
                keys.append((right, key, f"at {file}, line {number},"))
            case [first, *_] if not first.startswith("#"):
                raise InputError(f"{file}, line {number}, is no key; {_FORM}.")
    if not keys:
        raise InputError(f"{file} holds no key; {_FORM}.")
    return keys


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()


def _is_among(key: str, digests: frozenset[bytes]) -> bool:
    """Takes the same time whether and whichever key matches."""
    digest = _digest(key)
    return any([hmac.compare_digest(digest, known) for known in digests])  # noqa: C419 - all of them are compared
