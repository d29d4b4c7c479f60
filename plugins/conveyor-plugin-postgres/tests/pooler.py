"""A PgBouncer of the tests' own, in its transaction mode, in front of a server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import pytest
from server import NOBODY, free_port, run_as_nobody

__all__ = ["Pooler"]

START_SECONDS: Final = 20
# Fewer than one store would have without it: whoever begins a transaction gets what somebody else had.
SERVER_CONNECTIONS: Final = 3
SETTINGS: Final = """
[databases]
* = {server}

[pgbouncer]
pool_mode = transaction
default_pool_size = {connections}
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
logfile = {folder}/log
pidfile = {folder}/pid
"""


class Pooler:
    """One pooler, on a free port of the loopback device."""

    def __init__(self, server_url: str) -> None:
        """Prepare it; `start` runs it. Skips the test where it is not installed."""
        self._program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        if self._program is None:
            pytest.skip("pgbouncer is not installed")
        self._server = urlsplit(server_url)
        self._folder = Path(tempfile.mkdtemp(prefix="conveyor-pgbouncer-", dir="/tmp"))
        self._port = free_port()
        self._process: subprocess.Popen[Any] | None = None

    @property
    def url(self) -> str:
        """The URL of the same database by way of the pooler, without any option."""
        return f"postgresql://postgres@127.0.0.1:{self._port}{self._server.path}"

    @property
    def direct(self) -> str:
        """The server itself, as the option `direct` takes it."""
        return f"{self._server.hostname}:{self._server.port or 5432}"

    def start(self) -> None:
        """Run it, until `stop`."""
        server = self._server
        parts = {"host": server.hostname, "port": server.port, "user": server.username, "password": server.password}
        text = SETTINGS.format(
            server=" ".join(f"{key}={unquote(str(value))}" for key, value in parts.items() if value),
            connections=SERVER_CONNECTIONS,
            port=self._port,
            folder=self._folder,
        )
        settings = self._folder / "settings.ini"
        settings.write_text(text, encoding="utf-8")
        if os.geteuid() == 0:
            os.chown(self._folder, NOBODY, NOBODY)
        self._process = process = subprocess.Popen(
            [str(self._program), "-q", str(settings)], cwd=self._folder, stderr=subprocess.DEVNULL, **run_as_nobody()
        )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"pgbouncer does not run:\n{(self._folder / 'log').read_text(encoding='utf-8')}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it and remove its files."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0
