"""One transaction on the thread that all have in turn: how it begins, its statements, its bounds, its end.

The transaction holds the file's write lock, so it watches its own time: a handler that blocks the event loop cannot
keep other writers, and the renewal of its own lock, waiting for longer than it might.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Final, TypeVar

from anyio.lowlevel import checkpoint

from conveyor._builtin.sqlite.driver_errors import statement_error
from conveyor._builtin.sqlite.statements import sql
from conveyor._builtin.sqlite.transaction_thread import Request
from conveyor.errors import ConfigurationError, LockLostError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from conveyor._builtin.sqlite.options import SqliteOptions
    from conveyor._builtin.sqlite.transaction_thread import TransactionThread
    from conveyor.model.locks import Lock

__all__ = ["Turn"]

T = TypeVar("T")

_BEGIN_RETRY_SECONDS: Final = 0.01
# How many steps of SQLite's machine may pass before a statement looks at the time: less than a millisecond.
_STEPS_BETWEEN_LOOKS: Final = 20_000
# How long the event loop waits at most for a commit to go on. Most often it takes a tenth of that.
_ENTER_SECONDS: Final = 0.001


class Turn:
    """Begins at once; does what is asked, in order; ends when told to, and rolls back if that was no commit."""

    def __init__(self, thread: TransactionThread, options: SqliteOptions, lock: Lock, longest: timedelta) -> None:
        self._thread = thread
        self._options = options
        self._lock = lock
        self._longest = longest
        self._deadline = 0.0
        self._has_begun = False
        # How many rows were changed, once it is committed.
        self.changes = 0
        self._changes_before = 0
        # Set on the loop, read on the thread.
        self._is_left = False
        self._is_spoiled = False
        self._is_ended = False
        # Locked until the thread is in its commit, or has ended without one.
        self._is_committing = threading.Lock()

    async def begin(self) -> None:
        """Get the write lock; see `TransactionStore.begin`."""
        self._has_begun = True
        with self._thread.borrowed() as connection:
            if connection is not None and self._has_begun_at_once(connection):
                return
        await self._answer_to(Request(self._begin))

    async def ask(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do something inside the transaction and return what it returns, or raise what it raises."""
        if self._is_ended:
            raise _over()
        return await self._answer_to(Request(lambda: self._guarded(work)))

    async def ask_shortly(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do the same on the event loop, unless the thread is busy: for what takes no longer than waking the thread."""
        await checkpoint()
        # From here to the statement nobody else runs: once this one is over, the connection may have the next one.
        if self._is_ended:
            raise _over()
        with self._thread.borrowed(has_begun=True) as connection:
            if connection is not None:
                return self._guarded(work)
        return await self.ask(work)

    async def end(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do the last thing; whatever is not committed then is rolled back."""
        self._is_ended = True
        return await self._answer_to(Request(lambda: self._guarded(work), is_last=True))

    async def end_beside(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do the same, where other tasks have much to do meanwhile: they get the event loop once the commit goes on.

        While it does, the thread needs no interpreter. With each statement before it would wait for theirs, so that
        the commit came when they are through.
        """
        self._is_ended = True
        self._is_committing.acquire()
        request = Request(lambda: self._entered(work), is_last=True)
        self._thread.submit(request)
        self._is_committing.acquire(timeout=_ENTER_SECONDS)
        return await self._answer(request)

    async def leave(self) -> None:
        """Roll back, unless it was told to end before, or never began."""
        if self._is_ended or not self._has_begun:
            return
        self._is_ended = self._is_left = True
        request: Request[None] = Request(self._thread.drop, is_last=True)
        try:
            self._thread.submit(request)
        except StoreError:
            return  # the store was closed, and what was open rolled back
        await request.done.wait()

    async def _answer_to(self, request: Request[T]) -> T:
        self._thread.submit(request)
        return await self._answer(request)

    async def _answer(self, request: Request[T]) -> T:
        try:
            await request.done.wait()
        except BaseException:
            # The caller will not know whether it took effect, so what it belongs to must not be committed.
            self._is_spoiled = True
            raise
        if request.error is not None:
            raise request.error
        return request.value

    # From here on: the thread; or the event loop, while it has borrowed the connection.

    def commit(self, connection: sqlite3.Connection) -> None:
        """Commit."""
        self._let_loop_go_on()
        self._thread.commit(connection)
        self.changes = connection.total_changes - self._changes_before

    def _begin(self) -> None:
        connection = self._thread.connect()
        until = time.monotonic() + self._options.busy_timeout.total_seconds()
        try:
            while not self._is_begun(connection, is_last_try=time.monotonic() >= until or self._must_stop):
                time.sleep(_BEGIN_RETRY_SECONDS)
            self._enter(connection)
        except sqlite3.Error as exc:
            raise self._translated(exc) from exc

    def _has_begun_at_once(self, connection: sqlite3.Connection) -> bool:
        """Begin on the event loop, if nobody else writes: that takes less time than to wake the thread and be woken."""
        try:
            if not self._is_begun(connection, is_last_try=False):
                return False
            self._enter(connection)
        except sqlite3.Error as exc:
            raise self._translated(exc) from exc
        return True

    def _enter(self, connection: sqlite3.Connection) -> None:
        """Bound the transaction that has begun, and look whose job it is."""
        self._thread.deadline = self._deadline = time.monotonic() + self._longest.total_seconds()
        self._changes_before = connection.total_changes
        owner = (self._lock.job_id, *self._lock.token)
        (is_owned,) = connection.execute(sql("transactions/begin"), owner).fetchone()
        if not is_owned:
            raise LockLostError(str(self._lock.token), job_id=self._lock.job_id)
        connection.set_progress_handler(self._is_interrupted, _STEPS_BETWEEN_LOOKS)

    def _is_begun(self, connection: sqlite3.Connection, *, is_last_try: bool) -> bool:
        try:
            self._thread.begin(connection)
        except sqlite3.OperationalError as exc:
            if is_last_try or exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            return False
        return True

    def _guarded(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do it only while the transaction goes on: outside of it, SQLite would commit each statement by itself."""
        connection = self._thread.connection
        if self._is_overdue:
            raise self._too_long()
        if self._is_spoiled:
            raise StoreError("a statement of the transaction was cancelled, so it can only be rolled back")
        if connection is None or not connection.in_transaction:
            raise StoreError("SQLite rolled the transaction back after an error; leave its block and try again")
        try:
            return work(connection)
        except sqlite3.Error as exc:
            raise self._translated(exc) from exc

    def _entered(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return self._guarded(work)
        finally:
            self._let_loop_go_on()

    def _let_loop_go_on(self) -> None:
        if self._is_committing.locked():
            self._is_committing.release()

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


def _over() -> StoreError:
    return StoreError("the transaction is over: use its connection inside the block only")
