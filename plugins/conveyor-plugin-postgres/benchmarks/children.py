"""Processes that a measurement starts and talks to, a line at a time."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Child", "hear", "say", "started"]


class Child:
    """A process, as its parent sees it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines_in: Any = process.stdin
        self._lines_out: Any = process.stdout

    def say(self, what: object) -> None:
        """Give it a line."""
        self._lines_in.write(f"{what}\n")
        self._lines_in.flush()

    def hear(self) -> str:
        """Wait for its next line."""
        line: str = self._lines_out.readline()
        if not line:
            raise SystemExit(f"{self._process.args!r} ended with {self._process.wait()}")
        return line.strip()


@contextmanager
def started(module: str, *arguments: str) -> Iterator[Child]:
    """Start ``python -m module``, wait until it says that it is ready, and end it at last."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        child = Child(process)
        try:
            child.hear()
            yield child
        finally:
            process.terminate()


def say(what: object) -> None:
    """In such a process: give the parent a line."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def hear() -> bool:
    """In such a process: wait for the parent's next line; False: there is none any more."""
    return bool(sys.stdin.readline())
