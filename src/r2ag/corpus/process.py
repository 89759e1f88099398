"""Parsing in a process of its own, with limits: a parser that dies, hangs or eats memory costs only its file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from threading import Event, Timer
from typing import IO, Any

from r2ag.corpus.blocks import Block, Contents, UnreadableError

LENGTH_BYTES = 8
MAX_MEMORY_BYTES = 2 * 1024**3
MAX_SECONDS = 120  # of the processor's time, so that other work on the machine loses no file
WAITING = 5  # times as long the file may take by the clock, for a parser that waits for something
MAX_REPLY_BYTES = 200_000_000
# Threads of numeric libraries reserve memory that counts against the limit.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
_LOST = f"can't be parsed: the parser ended, or needed more than {MAX_MEMORY_BYTES // 1024**3} GB of memory."


class _LostError(Exception):
    """The process is gone or out of memory."""


class ParserProcess:
    """A child process that parses file after file; another takes its place when it is lost."""

    def __init__(self, max_seconds: int = MAX_SECONDS) -> None:
        self.max_seconds = max_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def parse(self, content: bytes, suffix: str) -> Contents:
        """Parses one file's content as the format of the suffix.

        Raises:
            UnreadableError: the content can't be parsed within the limits; says why.
        """
        is_new = self._process is None
        try:
            return self._parse(content, suffix)
        except _LostError:
            if is_new and not self._stopped:
                raise UnreadableError(_LOST) from None
        # What earlier files left behind may have been the trouble.
        try:
            return self._parse(content, suffix)
        except _LostError:
            raise UnreadableError(_LOST) from None

    def stop(self) -> None:
        """Parses nothing more; another thread that waits for a file is told so at once."""
        self._stopped = True
        if (process := self._process) is not None:
            process.kill()

    def close(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _parse(self, content: bytes, suffix: str) -> Contents:
        if self._stopped:
            raise UnreadableError("was not read, as reading was stopped.")
        process = self._process = self._process or _start(self.max_seconds)
        late = Event()

        def stop() -> None:
            late.set()
            process.kill()

        timer = Timer(self.max_seconds * WAITING, stop)
        timer.start()
        try:
            reply = _exchange(process, content, suffix)
        except UnreadableError:
            self.close()
            raise
        except (OSError, EOFError):
            self.close()
            if late.is_set() or process.returncode == -signal.SIGXCPU:
                raise UnreadableError(f"takes longer than {self.max_seconds} s to parse; split it.") from None
            raise _LostError from None
        finally:
            timer.cancel()
        if "error" not in reply:
            blocks = tuple(Block(text, section, place) for text, section, place in reply["blocks"])
            return Contents(reply["title"], blocks, tuple(reply["unread"]))
        if reply["exhausted"]:
            self.close()
            raise _LostError
        raise UnreadableError(reply["error"])


def _start(max_seconds: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        # -P: no module from the folder that we happen to be in
        [sys.executable, "-P", "-m", "r2ag.corpus.worker", str(max_seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for us alone
        env=os.environ | _ONE_THREAD,
    )


def _exchange(process: subprocess.Popen[bytes], content: bytes, suffix: str) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{suffix}\n".encode() + len(content).to_bytes(LENGTH_BYTES))
    process.stdin.write(content)
    process.stdin.flush()
    length = int.from_bytes(_read(process.stdout, LENGTH_BYTES))
    if length > MAX_REPLY_BYTES:
        raise UnreadableError(f"holds more than {MAX_REPLY_BYTES // 1_000_000} MB of text; split it.")
    reply: dict[str, Any] = json.loads(_read(process.stdout, length))
    return reply


def _read(stream: IO[bytes], length: int) -> bytes:
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    return data
