"""Read connections, used in worker threads, apart from the writer."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final, TypeVar, TypeVarTuple

import anyio
import anyio.to_thread

from conveyor._builtin.sqlite.driver_errors import store_error
from conveyor.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from conveyor._builtin.sqlite.watched_file import WatchedFile

__all__ = ["Readers"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_CONNECTIONS: Final = 4


class Readers:
    """Lends a connection to one reading function at a time; each sees one snapshot of the database."""

    def __init__(self, file: WatchedFile, connect: Callable[[], sqlite3.Connection]) -> None:
        self._file = file
        self._path = file.path
        self._connect = connect
        self._limiter = anyio.CapacityLimiter(_CONNECTIONS)
        # Each with the generation of the file that it is open on.
        self._idle: list[tuple[int, sqlite3.Connection]] = []
        self._is_closed = False

    async def run(self, work: Callable[[sqlite3.Connection, *Ts], T], *args: *Ts) -> T:
        """Return what `work` returns, or raise what it raises.

        Raises:
            StoreError: the store is closed, or the driver failed.
        """
        if self._is_closed:
            raise StoreError(f"the store of {str(self._path)!r} is closed")
        return await anyio.to_thread.run_sync(lambda: self._run(work, *args), limiter=self._limiter)

    def close(self) -> None:
        """Close the connections that nobody uses now; the others are closed by their users."""
        self._is_closed = True
        while self._idle:
            self._idle.pop()[1].close()

    def _run(self, work: Callable[[sqlite3.Connection, *Ts], T], *args: *Ts) -> T:
        try:
            generation, connection = self._borrow()
            try:
                connection.execute("begin")
                return work(connection, *args)
            finally:
                self._give_back(generation, connection)
        except sqlite3.Error as exc:
            raise store_error(exc, self._path) from exc

    def _borrow(self) -> tuple[int, sqlite3.Connection]:
        self._file.check()
        generation = self._file.generation
        while True:
            try:
                opened_at, connection = self._idle.pop()
            except IndexError:
                return generation, self._open()
            if opened_at == generation:
                return generation, connection
            connection.close()  # it reads a file that was replaced

    def _open(self) -> sqlite3.Connection:
        try:
            connection = self._connect()
        except StoreError:
            self._file.check()  # moved away since it was looked at: the open store waits for it to come back
            raise
        try:
            self._file.check()  # replaced since: what was opened is another file
        except BaseException:
            connection.close()
            raise
        return connection

    def _give_back(self, generation: int, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            connection.execute("rollback")
        if self._is_closed or generation != self._file.generation:
            connection.close()
        else:
            self._idle.append((generation, connection))
