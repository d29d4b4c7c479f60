"""The thread that holds one run's transaction: its connection, its statements, and its end.

A thread of its own, because a statement may take long and the writer thread must not wait for user code. The
transaction holds the file's write lock, so it watches its own time: a handler that blocks the event loop cannot
keep other writers, and the renewal of its own lock, waiting for longer than it might.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Final, Generic, TypeAlias, TypeVar

import anyio

from conveyor._builtin.sqlite.connections import connect_writer
from conveyor._builtin.sqlite.driver_errors import statement_error, store_error
from conveyor._builtin.sqlite.operations import roll_back
from conveyor._builtin.sqlite.statements import sql
from conveyor.errors import ConfigurationError, LockLostError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from conveyor._builtin.sqlite.loop import EventLoop
    from conveyor._builtin.sqlite.options import SqliteOptions
    from conveyor.model.locks import Lock

__all__ = ["TransactionThread", "release_guards"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_BEGIN_RETRY_SECONDS: Final = 0.01
# How many steps of SQLite's machine may pass before a statement looks at the time: less than a millisecond.
_STEPS_BETWEEN_LOOKS: Final = 20_000


class _Request(Generic[T_co]):
    """One thing to do with the connection, and later its answer: `value`, unless there is an `error`."""

    __slots__ = ("done", "error", "is_last", "value", "work")

    value: T_co

    def __init__(self, work: Callable[[sqlite3.Connection], T_co], *, is_last: bool) -> None:
        self.work = work
        self.is_last = is_last
        self.error: Exception | None = None
        self.done = anyio.Event()

    def run(self, connection: sqlite3.Connection) -> None:
        self.value = self.work(connection)


_AnyRequest: TypeAlias = _Request[object]


class TransactionThread:
    """Begins at once; does what is asked, in order; ends when told to, and rolls back if that was no commit."""

    def __init__(
        self,
        options: SqliteOptions,
        loop: EventLoop,
        lock: Lock,
        longest: timedelta,
        *,
        check_file: Callable[[], None],
    ) -> None:
        """Prepare; `begin` starts the thread."""
        self._options = options
        self._check_file = check_file
        self._loop = loop
        self._lock = lock
        self._longest = longest
        self._queue: queue.SimpleQueue[_AnyRequest] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._main, name="conveyor-sqlite transaction", daemon=True)
        self._deadline = 0.0
        # Set on the loop, read on the thread.
        self._is_left = False
        self._is_spoiled = False
        self._is_ended = False

    async def begin(self) -> None:
        """Start the thread and get the write lock; see `TransactionStore.begin`."""
        self._thread.start()
        began: _Request[None] = _Request(self._begin, is_last=False)
        self._queue.put(began)
        await self._answer_to(began)

    async def ask(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do something inside the transaction and return what it returns, or raise what it raises."""
        if self._is_ended:
            raise StoreError("the transaction is over: use its connection inside the block only")
        request = _Request(self._guarded(work), is_last=False)
        self._queue.put(request)
        return await self._answer_to(request)

    async def end(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do the last thing; whatever is not committed then is rolled back, and the thread ends."""
        self._is_ended = True
        request = _Request(self._guarded(work), is_last=True)
        self._queue.put(request)
        return await self._answer_to(request)

    async def leave(self) -> None:
        """Roll back, unless the thread was told to end before, or was never started."""
        if self._is_ended or not self._thread.is_alive():
            return
        self._is_ended = self._is_left = True
        request: _Request[None] = _Request(roll_back, is_last=True)
        self._queue.put(request)
        await request.done.wait()

    async def _answer_to(self, request: _Request[T]) -> T:
        try:
            await request.done.wait()
        except BaseException:
            # The caller will not know whether it took effect, so what it belongs to must not be committed.
            self._is_spoiled = True
            raise
        if request.error is not None:
            raise request.error
        return request.value

    # From here on: the transaction's own thread.

    def _main(self) -> None:
        connection, error = self._connected()
        is_over = False
        while not is_over:
            request = self._take(connection)
            if connection is None:
                request.error = error
            else:
                self._do(connection, request)
            is_over = request.is_last
            if is_over and connection is not None:
                # Before the answer: whoever hears it may write at once.
                _undo(connection)
                connection.close()
            self._loop.post(request.done.set)

    def _connected(self) -> tuple[sqlite3.Connection | None, Exception | None]:
        try:
            self._check_file()
            return connect_writer(self._options), None
        except sqlite3.Error as exc:
            return None, store_error(exc, self._options.path)
        except StoreError as exc:
            return None, exc

    def _take(self, connection: sqlite3.Connection | None) -> _AnyRequest:
        """Wait for the next request; where none comes in time, undo everything and go on waiting for the end."""
        while True:
            is_holding = connection is not None and connection.in_transaction
            try:
                return self._queue.get(timeout=max(0.0, self._deadline - time.monotonic()) if is_holding else None)
            except queue.Empty:
                if connection is not None:
                    _undo(connection)

    def _do(self, connection: sqlite3.Connection, request: _AnyRequest) -> None:
        try:
            request.run(connection)
        except sqlite3.Error as exc:
            request.error = self._translated(exc)
        except Exception as exc:  # noqa: BLE001 - whoever asked gets it
            request.error = exc

    def _begin(self, connection: sqlite3.Connection) -> None:
        connection.execute("pragma busy_timeout = 0")
        until = time.monotonic() + self._options.busy_timeout.total_seconds()
        # By hand, because SQLite's own waiting cannot be interrupted by a run that is cancelled meanwhile.
        while not _is_begun(connection, is_last_try=time.monotonic() >= until or self._must_stop):
            time.sleep(_BEGIN_RETRY_SECONDS)
        self._deadline = time.monotonic() + self._longest.total_seconds()
        (is_owned,) = connection.execute(sql("transactions/begin"), (self._lock.job_id, *self._lock.token)).fetchone()
        if not is_owned:
            raise LockLostError(str(self._lock.token), job_id=self._lock.job_id)
        connection.set_progress_handler(self._is_interrupted, _STEPS_BETWEEN_LOOKS)
        connection.set_authorizer(_authorize)

    def _guarded(self, work: Callable[[sqlite3.Connection], T]) -> Callable[[sqlite3.Connection], T]:
        """Do it only while the transaction goes on: outside of it, SQLite would commit each statement by itself."""

        def run(connection: sqlite3.Connection) -> T:
            if self._is_overdue:
                raise self._too_long()
            if self._is_spoiled:
                raise StoreError("a statement of the transaction was cancelled, so it can only be rolled back")
            if not connection.in_transaction:
                raise StoreError("SQLite rolled the transaction back after an error; leave its block and try again")
            return work(connection)

        return run

    @property
    def _is_overdue(self) -> bool:
        return time.monotonic() >= self._deadline

    @property
    def _must_stop(self) -> bool:
        return self._is_left or self._is_spoiled

    def _is_interrupted(self) -> bool:
        return self._must_stop or self._is_overdue

    def _too_long(self) -> TimeoutError:
        return TimeoutError(f"the transaction took longer than {self._longest} and was rolled back")

    def _translated(self, exc: sqlite3.Error) -> Exception:
        code = getattr(exc, "sqlite_errorcode", 0)
        if code == sqlite3.SQLITE_INTERRUPT and self._is_overdue:
            return self._too_long()
        if code == sqlite3.SQLITE_AUTH:
            return ConfigurationError("the transaction is conveyor's: leave its block to commit, raise to roll back")
        return statement_error(exc, self._options.path)


def release_guards(connection: sqlite3.Connection) -> None:
    """Let the transaction be ended, and let nothing interrupt that."""
    connection.set_progress_handler(None, 0)
    connection.set_authorizer(None)


def _undo(connection: sqlite3.Connection) -> None:
    release_guards(connection)
    roll_back(connection)


def _is_begun(connection: sqlite3.Connection, *, is_last_try: bool) -> bool:
    try:
        connection.execute("begin immediate")
    except sqlite3.OperationalError as exc:
        if is_last_try or exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


def _authorize(action: int, *_: object) -> int:
    return sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_TRANSACTION else sqlite3.SQLITE_OK
