"""The client of every server with OpenAI's API: requests, retries, limits, and one plain sentence for each failure."""

from __future__ import annotations

import asyncio
import json
import os
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from contextlib import aclosing, contextmanager
from threading import Thread
from typing import Any, Self, TypeVar

import httpx

from r2ag.errors import EngineError, InputError

Result = TypeVar("Result")
ATTEMPTS = 4
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 20.0
MAX_RESPONSE_BYTES = 64_000_000
_GET_TIMEOUT = httpx.Timeout(5.0)
# vLLM closes connections that are idle for five seconds; a connection that it may be closing now is not used again.
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=3.0)
_TRANSIENT = frozenset((408, 409, 429, 500, 502, 503, 504))
_MALFORMED = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


class APIClient:
    """Asks one model of one server with OpenAI's API; any thread may use it.

    An event loop in a thread of its own sends the requests, so that many can be under way, and each can be cancelled.
    The key in OPENAI_API_KEY, if it is set, goes to this server only: redirects are not followed. Connections are
    closed by `close`, at the end of a `with` block, or when nothing refers to the client any more.

    Args:
        url: without the path of a request, as in http://localhost:11434/v1.
        timeout: bounds connecting, and the wait for each next part of a response; None is `patience`.
        first_pause: seconds before a request is sent again; each further pause is twice as long.

    Raises:
        InputError: the URL is not an http or https address, or the key can't be sent.
    """

    patience = 60.0

    def __init__(
        self,
        url: str,
        model: str,
        timeout: httpx.Timeout | float | None = None,
        first_pause: float = FIRST_PAUSE_SECONDS,
    ) -> None:
        _check_address(url)
        self.url = url.rstrip("/")
        self.model = model
        self._first_pause = first_pause
        timeout = timeout or httpx.Timeout(self.patience, connect=10.0, pool=None)
        self._client = httpx.AsyncClient(timeout=timeout, limits=_LIMITS, headers=_key_header())
        self._loop = asyncio.new_event_loop()
        unused = asyncio.Event()
        self._thread = Thread(target=_run, args=(self._loop, self._client, unused), name="http", daemon=True)
        self._thread.start()
        self._end = weakref.finalize(self, self._loop.call_soon_threadsafe, unused.set)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections; requests that are under way are cancelled."""
        self._end()
        self._thread.join()

    def soon(self, work: Coroutine[Any, Any, Result]) -> Future[Result]:
        """Runs a coroutine on the client's event loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def ask(
        self, path: str, request: Mapping[str, Any] | None, read: Callable[[Any], Result], expected: str
    ) -> Result:
        """Sends a request, and reads its JSON answer.

        Args:
            request: goes with the model's name; tried again after failures that may pass. None is a GET, tried once.
            read: takes what is needed from the answer; may raise what malformed JSON leads to.
            expected: what `read` looks for, for the error message.

        Raises:
            EngineError: the server can't be reached, is silent, refuses, or answers with something else.
        """
        content = None if request is None else json.dumps({"model": self.model} | dict(request))

        async def attempt() -> bytes:
            return b"".join([piece async for piece in self._pieces(path, content)])

        body = await (attempt() if content is None else self.retry(attempt))
        with self.expecting(path, expected):
            return read(json.loads(body))

    async def events(self, path: str, content: str) -> AsyncGenerator[Any]:
        """Sends a request (JSON) once, and yields the JSON of each event that is streamed back; for `aclosing`.

        Raises:
            EngineError: see `ask`.
        """
        rest = b""
        async with aclosing(self._pieces(path, content)) as pieces:
            async for piece in pieces:
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    if line.startswith(b"data: {"):
                        with self.expecting(path, "a stream of JSON"):
                            event = json.loads(line.removeprefix(b"data: "))
                        yield event

    async def retry(
        self, attempt: Callable[[], Awaitable[Result]], again: Callable[[EngineError], bool] = lambda error: True
    ) -> Result:
        """Tries again, after ever longer pauses, where a failure may pass and `again` says so."""
        for number in range(ATTEMPTS - 1):
            try:
                return await attempt()
            except _TransientError as error:
                if not again(error):
                    raise
                pause = max(self._first_pause * 2**number, error.pause)
            await asyncio.sleep(min(pause, LONGEST_PAUSE_SECONDS))
        return await attempt()

    @contextmanager
    def expecting(self, path: str, expected: str) -> Iterator[None]:
        """Turns the errors that malformed JSON leads to into an EngineError that says what was expected."""
        try:
            yield
        except InputError:
            raise
        except _MALFORMED:
            raise EngineError(
                f"{self.url}/{path} did not answer with {expected}; check that it is an OpenAI-compatible server."
            ) from None

    async def _pieces(self, path: str, content: str | None) -> AsyncGenerator[bytes]:
        """The body of a successful response to a request, as it comes."""
        method, timeout = ("GET", _GET_TIMEOUT) if content is None else ("POST", self._client.timeout)
        options: dict[str, Any] = {"content": content, "timeout": timeout}
        headers = {"Content-Type": "application/json"}
        size, refusal = 0, b""
        with self._plain_errors(path):
            async with self._client.stream(method, f"{self.url}/{path}", headers=headers, **options) as response:
                async for piece in response.aiter_bytes():
                    size += len(piece)
                    if size > MAX_RESPONSE_BYTES:
                        limit = f"{MAX_RESPONSE_BYTES:,} bytes"
                        raise EngineError(f"{self.url}/{path} answered with more than {limit}; check it.")
                    if response.status_code == httpx.codes.OK:
                        yield piece
                    else:
                        refusal += piece
        if response.status_code != httpx.codes.OK:
            raise self._refusal(path, response, refusal)

    @contextmanager
    def _plain_errors(self, path: str) -> Iterator[None]:
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            problem = f"can't be reached ({_reason(error)}); check the address, and that the server is running"
            raise _TransientError(f"{self.url}/{path} {problem}.") from error
        except httpx.TimeoutException as error:
            problem = "was silent for too long; see whether the server is overloaded"
            raise _TransientError(f"{self.url}/{path} {problem}.", timed_out=True) from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            problem = f"broke off in the middle of an answer ({_reason(error)}); see the server's log, and ask again"
            raise _TransientError(f"{self.url}/{path} {problem}.") from error

    def _refusal(self, path: str, response: httpx.Response, body: bytes) -> EngineError:
        status = response.status_code
        advice = {
            401: "set OPENAI_API_KEY to a key of this server",
            403: "set OPENAI_API_KEY to a key of this server",
            404: f"check the address and the model's name, {self.model}",
        }.get(status, "try again later" if status in _TRANSIENT else f"check the model's name, {self.model}")
        said = _message(body)
        message = f"{self.url}/{path} refused with status {status}{f' ({said})' if said else ''}; {advice}."
        if status not in _TRANSIENT:
            return EngineError(message)
        pause = response.headers.get("retry-after", "")
        return _TransientError(message, pause=float(pause) if pause.isascii() and pause.isdigit() else 0.0)


class _TransientError(EngineError):
    """A failure that may be over after a pause of so many seconds or more."""

    def __init__(self, message: str, timed_out: bool = False, pause: float = 0.0) -> None:
        super().__init__(message, timed_out)
        self.pause = pause


def _run(loop: asyncio.AbstractEventLoop, client: httpx.AsyncClient, unused: asyncio.Event) -> None:
    """Runs the event loop of an APIClient. It must not refer to the APIClient, which could then never be unused."""

    async def run() -> None:
        await unused.wait()
        await client.aclose()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(run())


def _check_address(url: str) -> None:
    try:
        given = httpx.URL(url)
    except httpx.InvalidURL:
        given = httpx.URL()
    if given.scheme not in ("http", "https") or not given.host:
        raise InputError(f"{url!r} is no address of a server; give one as in http://localhost:11434/v1.")


def _key_header() -> dict[str, str]:
    key = os.environ.get("OPENAI_API_KEY", "")
    if not (key.isascii() and key.isprintable()):
        raise InputError("OPENAI_API_KEY holds characters that no key has; set it again.")
    return {"Authorization": f"Bearer {key}"} if key else {}


def _reason(error: Exception) -> str:
    """What an error says; some have only a name."""
    return str(error) or type(error).__name__


def _message(body: bytes) -> str:
    """What the server says, if it says it as OpenAI's does."""
    try:
        return " ".join(str(json.loads(body)["error"]["message"]).split())[:200]
    except _MALFORMED:
        return ""
