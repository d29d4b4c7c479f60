"""The thread on which the transactions of runs take place, and the connection that it keeps between them.

A thread of its own, because a statement may take long and the writer thread must not wait for user code. Opening a
thread and a connection takes longer than most transactions do, so both wait a while for the next one.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Generic, TypeAlias, TypeVar

import anyio

from conveyor._builtin.sqlite.connections import connect_writer
from conveyor._builtin.sqlite.driver_errors import store_error
from conveyor._builtin.sqlite.operations import roll_back
from conveyor.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conveyor._builtin.sqlite.loop import EventLoop
    from conveyor._builtin.sqlite.options import SqliteOptions
    from conveyor._builtin.sqlite.watched_file import WatchedFile

__all__ = ["Request", "TransactionThread"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

# It may also find out so much later that a transaction has taken too long, in which nothing was asked yet.
_KEPT_SECONDS: Final = 0.1
_CLOSE_SECONDS: Final = 30.0
# Not the words that a user would type: of a statement that was run before, nobody asks again whether it is allowed.
_BEGIN: Final = "begin immediate -- by conveyor"
# What outlives a transaction on its connection.
_LASTING: Final = frozenset({sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_PRAGMA})


class Request(Generic[T_co]):
    """One thing to do on the thread, and later its answer: `value`, unless there is an `error`."""

    __slots__ = ("done", "error", "is_last", "value", "work")

    value: T_co

    def __init__(self, work: Callable[[], T_co], *, is_last: bool = False) -> None:
        self.work = work
        self.is_last = is_last
        self.error: Exception | None = None
        self.done = anyio.Event()

    def run(self) -> None:
        """Do it, on the thread."""
        try:
            self.value = self.work()
        except Exception as exc:  # noqa: BLE001 - whoever asked gets it
            self.error = exc


_AnyRequest: TypeAlias = Request[object]


class TransactionThread:
    """Does what is asked, in order.

    `submit`, `borrowed` and `close` are called on the event loop, the rest by who has the connection: the thread, or a
    borrower.
    """

    def __init__(
        self, options: SqliteOptions, loop: EventLoop, file: WatchedFile, on_commit: Callable[[], None]
    ) -> None:
        """Prepare; the first request starts the thread.

        Args:
            options: where the store is, and how its file is used.
            loop: where answers are given.
            file: the file as it stands now.
            on_commit: called before and after each commit, on whichever thread that is.
        """
        self._on_commit = on_commit
        self._options = options
        self._loop = loop
        self._file = file
        self._queue: queue.SimpleQueue[_AnyRequest | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        # Held by whoever uses the connection.
        self._is_used = threading.Lock()
        self._ended = anyio.Event()
        self._generation = 0
        self._is_own_statement = False
        self._is_marked = False
        self.connection: sqlite3.Connection | None = None
        # When a transaction that is open is rolled back, whoever began it.
        self.deadline = 0.0

    def submit(self, request: _AnyRequest) -> None:
        """Have something done after all that was asked before.

        Raises:
            StoreError: the store is closed.
        """
        if self._is_closed:
            raise StoreError(f"the store of {str(self._options.path)!r} is closed")
        if self._thread is None:
            self._thread = threading.Thread(target=self._main, name="conveyor-sqlite transactions", daemon=True)
            self._thread.start()
        self._queue.put(request)

    async def close(self) -> None:
        """Finish what was asked, roll back what is open then, and end the thread."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._thread is None:
            return
        self._queue.put(None)
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            await self._ended.wait()

    @contextmanager
    def borrowed(self, *, has_begun: bool = False) -> Iterator[sqlite3.Connection | None]:
        """On the event loop, use the connection for something short; None: there is none that can be used at once.

        Args:
            has_begun: whether a transaction is open; its commit looks whether the file is still in its place.
        """
        if not self._is_used.acquire(blocking=False):
            yield None
            return
        try:
            is_known = self._generation == self._file.generation and not self._is_closed
            is_usable = is_known and (has_begun or self._file.is_in_place)
            yield self.connection if is_usable else None
        finally:
            self._is_used.release()

    def connect(self) -> sqlite3.Connection:
        """Return a connection on which nothing of an earlier transaction is left.

        Raises:
            StoreError: the file cannot be opened, or is another one than the store's.
        """
        self._file.check()
        if self._generation != self._file.generation:
            self.drop()
        if self.connection is None:
            self._generation = self._file.generation
            try:
                self.connection = self._opened()
            except sqlite3.Error as exc:
                raise store_error(exc, self._options.path) from exc
        return self.connection

    def begin(self, connection: sqlite3.Connection) -> None:
        """Begin a transaction, if nobody else writes just now."""
        self._is_own_statement = True
        try:
            connection.execute(_BEGIN)
        finally:
            self._is_own_statement = False

    def commit(self, connection: sqlite3.Connection) -> None:
        """Commit; nothing interrupts that."""
        connection.set_progress_handler(None, 0)
        self._is_own_statement = True
        # Twice, for somebody may look in between.
        self._on_commit()
        try:
            connection.commit()
        finally:
            self._is_own_statement = False
            self._on_commit()

    def drop(self) -> None:
        """Close the connection; what is open on it is rolled back."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.set_progress_handler(None, 0)
            connection.set_authorizer(None)
            roll_back(connection)
            connection.close()

    def _main(self) -> None:
        while (request := self._take()) is not None:
            with self._is_used:
                request.run()
                # Before the answer: whoever hears it may write at once.
                if request.is_last:
                    self._let_go(has_failed=request.error is not None)
            self._loop.post(request.done.set)
        with self._is_used:
            self.drop()
        self._loop.post(self._ended.set)

    def _take(self) -> _AnyRequest | None:
        while True:
            try:
                return self._queue.get(timeout=self._patience_seconds)
            except queue.Empty:
                with self._is_used:
                    # Meanwhile a borrower may have begun a transaction.
                    if not self._is_in_transaction or time.monotonic() >= self.deadline:
                        self.drop()

    @property
    def _is_in_transaction(self) -> bool:
        return self.connection is not None and self.connection.in_transaction

    @property
    def _patience_seconds(self) -> float | None:
        """How long the connection may wait for a request; None: there is none."""
        if self.connection is None:
            return None
        if self._is_in_transaction:
            return max(0.0, self.deadline - time.monotonic())
        return _KEPT_SECONDS

    def _let_go(self, *, has_failed: bool) -> None:
        """Keep the connection for the next transaction only after a commit that left nothing behind."""
        if self.connection is not None and (has_failed or self._is_marked or self.connection.in_transaction):
            self.drop()

    def _opened(self) -> sqlite3.Connection:
        connection = connect_writer(self._options)
        # Waiting is done by hand, because SQLite's own cannot be interrupted by a run that is cancelled meanwhile.
        connection.execute("pragma busy_timeout = 0")
        connection.set_authorizer(self._authorize)
        self._is_marked = False
        return connection

    def _authorize(self, action: int, _first: str | None, _second: str | None, schema: str | None, _: object) -> int:
        if action == sqlite3.SQLITE_TRANSACTION:
            return sqlite3.SQLITE_OK if self._is_own_statement else sqlite3.SQLITE_DENY
        if action in _LASTING or schema == "temp":
            self._is_marked = True
        return sqlite3.SQLITE_OK
