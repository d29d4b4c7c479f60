"""Renewing a session from a thread, with a connection of its own, while the event loop is blocked."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from conveyor._builtin.sqlite.connections import connect_writer
from conveyor._builtin.sqlite.driver_errors import store_error
from conveyor._builtin.sqlite.rows import micros_after, to_micros
from conveyor._builtin.sqlite.statements import sql

if TYPE_CHECKING:
    from datetime import timedelta

    from conveyor._builtin.sqlite.options import SqliteOptions
    from conveyor._builtin.sqlite.watched_file import WatchedFile
    from conveyor.contracts.clock import Clock

__all__ = ["SqliteThreadRenewal"]


class SqliteThreadRenewal:
    """A `ThreadRenewal`; most are never used, so the connection is opened at the first renewal."""

    def __init__(self, options: SqliteOptions, file: WatchedFile, clock: Clock) -> None:
        self._options = options
        self._file = file
        self._generation = 0
        self._clock = clock
        self._connection: sqlite3.Connection | None = None

    def renew(self, session_id: str, lock_duration: timedelta, /) -> bool:
        """Keep what the session holds; False: there is no such session."""
        try:
            connection = self._current_connection()
            until = micros_after(to_micros(self._clock.now()), lock_duration)
            return connection.execute(sql("sessions/renew"), (session_id, until)).rowcount > 0
        except sqlite3.Error as exc:
            raise store_error(exc, self._options.path) from exc

    def _current_connection(self) -> sqlite3.Connection:
        self._file.check()
        if self._generation != self._file.generation:
            self.close()
        if self._connection is None:
            self._generation = self._file.generation
            self._connection = connect_writer(self._options)
        return self._connection

    def close(self) -> None:
        """Close the connection, if one was opened."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
