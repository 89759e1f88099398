"""A vLLM of one's own, started, stopped and killed by tests."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import httpx

START_SECONDS = 900  # on a busy machine; a minute on a free one


class VLLMProcess:
    """vLLM with the LLM of a folder, on a free port that stays the same.

    Args:
        command: the vllm command.
        log: where it writes.
    """

    def __init__(self, command: str, folder: str, log: Path) -> None:
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            port = listening.getsockname()[1]
        self._root = f"http://127.0.0.1:{port}"
        self.url = f"{self._root}/v1"
        self._log = log
        options = ["--enable-prompt-embeds", "--enforce-eager", "--max-model-len", "4096", "--dtype", "bfloat16"]
        self._command = [command, "serve", folder, "--host", "127.0.0.1", "--port", str(port), *options]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        from tests.server.conftest import eventually

        settings = {"VLLM_CPU_KVCACHE_SPACE": "2", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_NO_USAGE_STATS": "1"}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=os.environ | settings, stdout=log, stderr=log, start_new_session=True
            )
        eventually(lambda: self._answers() or self._process.poll() is not None, START_SECONDS)  # type: ignore[union-attr]
        assert self._process.poll() is None, self._log.read_text(errors="replace")[-3000:]

    def send(self, number: signal.Signals) -> None:
        """A signal for all of its processes."""
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """As kill -9 does."""
        if self._process is not None:
            self.send(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def aborted(self) -> float:
        """Requests that it gave up because their client left."""
        metrics = httpx.get(f"{self._root}/metrics", timeout=60).text
        counts = re.findall(r'^vllm:request_success_total\{.*finished_reason="abort".*\} (\S+)$', metrics, re.MULTILINE)
        return sum(map(float, counts))

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self._root}/health").status_code == 200
        except httpx.TransportError:
            return False
