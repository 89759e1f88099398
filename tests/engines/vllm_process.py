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
        python: of an environment that has vLLM; the CPU wheel's own command looks for a package of another name.
        log: where it writes.
    """

    def __init__(self, python: str, folder: str, log: Path) -> None:
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            port = listening.getsockname()[1]
        self._root = f"http://127.0.0.1:{port}"
        self.url = f"{self._root}/v1"
        self._log = log
        options = ["--enable-prompt-embeds", "--enforce-eager", "--max-model-len", "4096", "--dtype", "bfloat16"]
        self._command = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", folder, "--port", str(port)]
        self._command += ["--host", "127.0.0.1", *options]
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

    @property
    def running(self) -> float:
        """Requests that it works on."""
        return self._figure("num_requests_running")

    @property
    def finished(self) -> float:
        """Requests that it answered to their end."""
        return self._figure("request_success_total")

    def _figure(self, name: str) -> float:
        metrics = httpx.get(f"{self._root}/metrics", timeout=60).text
        found = re.findall(rf"^vllm:{name}\{{(.*)\}} (\S+)$", metrics, re.MULTILINE)
        return sum(float(value) for labels, value in found if '="abort"' not in labels)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self._root}/health").status_code == 200
        except httpx.TransportError:
            return False
