"""The ledger: an append-only file in which every process of the demo writes what it does, line by line.

Each line is one `os.write` to a file opened with O_APPEND, so lines of several processes never mix. It begins
with a checksum and numbers its process's lines, so a line that was changed or is missing is seen.
"""

from __future__ import annotations

import json
import os
import threading
import zlib
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Self

from attrs import asdict, frozen

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Entry", "Event", "Ledger", "LedgerReader", "UnreadableLineError", "format_line", "parse_line"]


class Event(StrEnum):
    """What a line tells."""

    ADDED = "added"
    STARTED = "started"
    FINISHED = "finished"
    KILLED = "killed"


class UnreadableLineError(Exception):
    """A line is not as it was written."""


@frozen
class Entry:
    """One line.

    Attributes:
        pid: the process that wrote it; for a kill, `target` is the one that was killed.
        number: which of its process's lines it is, from 1.
        run: the lock token of the run, as a word; with the job's id it names one run.
        outcome: how a run ended: completed or failed.
    """

    event: Event
    pid: int
    number: int
    job_id: str = ""
    file: str = ""
    run: str = ""
    attempt: int = 0
    outcome: str = ""
    seconds: float = 0.0
    target: int = 0


def format_line(entry: Entry) -> bytes:
    """Return an entry as a line, checksum first."""
    text = json.dumps(asdict(entry), separators=(",", ":")).encode("ascii")
    return b"%08x %s\n" % (zlib.crc32(text), text)


def parse_line(line: bytes) -> Entry:
    """Return the entry of a line.

    Raises:
        UnreadableLineError: it was changed since it was written.
    """
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        raise UnreadableLineError(line.decode("ascii", "backslashreplace"))
    try:
        fields = json.loads(text)
        return Entry(**fields | {"event": Event(fields["event"])})
    except (ValueError, TypeError, KeyError) as exc:
        raise UnreadableLineError(line.decode("ascii", "backslashreplace")) from exc


class Ledger:
    """Writes to the ledger; open it with ``with``. Threads may share one."""

    def __init__(self, path: Path) -> None:
        """Bind to a file; it is made when opened."""
        self._path = path
        self._lock = threading.Lock()
        self._number = 0
        self._file = -1

    def __enter__(self) -> Self:
        """Open the file for appending."""
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the file."""
        os.close(self._file)

    def added(self, job_id: str, file: str) -> None:
        """A job was added; written once the add is acknowledged."""
        with self._lock:
            self._write(Entry(Event.ADDED, os.getpid(), self._next(), job_id=job_id, file=file))

    def started(self, job_id: str, file: str, *, run: str, attempt: int) -> None:
        """A run began."""
        with self._lock:
            self._write(Entry(Event.STARTED, os.getpid(), self._next(), job_id, file, run, attempt))

    def finished(self, job_id: str, file: str, *, run: str, attempt: int, outcome: str, seconds: float) -> None:
        """A run ended, after so many seconds."""
        with self._lock:
            number = self._next()
            self._write(Entry(Event.FINISHED, os.getpid(), number, job_id, file, run, attempt, outcome, seconds))

    def killed(self, pid: int) -> None:
        """This process killed another."""
        with self._lock:
            self._write(Entry(Event.KILLED, os.getpid(), self._next(), target=pid))

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _write(self, entry: Entry) -> None:
        line = format_line(entry)
        if os.write(self._file, line) != len(line):
            raise OSError(f"only a part of a line could be written to {self._path}; is the disk full?")


class LedgerReader:
    """Follows the ledger: each `read` returns the entries written since the last one."""

    def __init__(self, path: Path) -> None:
        """Bind to a file, which need not be there yet."""
        self._path = path
        self.offset = 0
        self.unreadable_count = 0

    def read(self) -> list[Entry]:
        """Return the new entries; lines that cannot be read are counted and left out."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self.offset)
            lines = file.read().splitlines(keepends=True)
        entries = []
        for line in lines:
            if not line.endswith(b"\n"):
                break
            self.offset += len(line)
            try:
                entries.append(parse_line(line))
            except UnreadableLineError:
                self.unreadable_count += 1
        return entries
