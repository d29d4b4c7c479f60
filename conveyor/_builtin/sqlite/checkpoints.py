"""Checkpoints of the write-ahead log, taken by one process at a time.

SQLite before 3.51.3 (except 3.50.7 and 3.44.6) can damage the file when two connections checkpoint at the
same moment; so nobody lets SQLite do it by itself, and a lock file beside the database lets one in.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Checkpointer"]

# About a page for four changed rows, and four for a commit: a checkpoint comes every 4000 pages or so.
_CHANGES_BETWEEN: Final = 16_000
_CHANGES_PER_COMMIT: Final = 16
_EMPTY_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = 0.02


class Checkpointer:
    """Counts what was written and moves it from the log to the database now and then. Writer thread only."""

    def __init__(self, path: Path) -> None:
        self._lock_path = path.with_name(path.name + "-checkpoint.lock")
        self._written = 0
        self._changes_seen = 0

    def after_commit(self, connection: sqlite3.Connection) -> None:
        """Take a checkpoint if enough was written since the last and no other process is at it."""
        changes = connection.total_changes
        self.note_written(changes - self._changes_seen + _CHANGES_PER_COMMIT)
        self._changes_seen = changes
        self.look(connection)

    def note_written(self, changes: int) -> None:
        """Count rows that another connection of this store changed."""
        self._written += changes

    def look(self, connection: sqlite3.Connection) -> None:
        """Take a checkpoint if enough was written."""
        if self._written < _CHANGES_BETWEEN:
            return
        with self._alone() as is_alone:
            if is_alone:
                # Passive: it waits for nobody, and goes as far as the oldest reader lets it.
                connection.execute("pragma wal_checkpoint(passive)").fetchall()
        self._written = 0

    def empty_log(self, connection: sqlite3.Connection) -> None:
        """Move all of the log to the database and leave it empty: the file will be complete by itself.

        It waits for a checkpoint of another process; where that takes long, the other will empty the log.
        """
        deadline = time.monotonic() + _EMPTY_SECONDS
        while True:
            with self._alone() as is_alone:
                if is_alone:
                    connection.execute("pragma wal_checkpoint(truncate)").fetchall()
            if is_alone or time.monotonic() >= deadline:
                return
            time.sleep(_RETRY_SECONDS)

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        if sys.platform == "win32":
            yield True
        else:
            with _locked(self._lock_path) as is_locked:
                yield is_locked


if sys.platform != "win32":
    import fcntl

    @contextmanager
    def _locked(path: Path) -> Iterator[bool]:
        """Hold the lock file if nobody else does; tell whether it is held."""
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)
