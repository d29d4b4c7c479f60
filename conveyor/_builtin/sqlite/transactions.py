"""The transactions facet of the SQLite store: on a thread of their own, one at a time in this process."""

from __future__ import annotations

import sqlite3
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import anyio

from conveyor._builtin.sqlite.adding import save_jobs
from conveyor._builtin.sqlite.batch_steps import keep_step
from conveyor._builtin.sqlite.gaps import Gaps
from conveyor._builtin.sqlite.joining import add_in_savepoint, join
from conveyor._builtin.sqlite.journal import append_logs, set_progress
from conveyor._builtin.sqlite.paces import Paces
from conveyor._builtin.sqlite.rows import to_micros
from conveyor._builtin.sqlite.settling import settle_jobs
from conveyor._builtin.sqlite.transaction import Transaction
from conveyor._builtin.sqlite.transaction_thread import TransactionThread
from conveyor._builtin.sqlite.turn import Turn
from conveyor.errors import ConfigurationError, LockLostError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from datetime import timedelta

    from conveyor._builtin.sqlite.loop import EventLoop
    from conveyor._builtin.sqlite.options import SqliteOptions
    from conveyor._builtin.sqlite.watched_file import WatchedFile
    from conveyor._builtin.sqlite.writer import Writer
    from conveyor.contracts.clock import Clock
    from conveyor.contracts.store.transactions import Row
    from conveyor.model.batches.status import BatchStatus
    from conveyor.model.batches.values import BatchStep
    from conveyor.model.events import Notification
    from conveyor.model.job import LogEntry, NewJob, ProgressReport
    from conveyor.model.locks import Lock
    from conveyor.model.queries import AddReceipt
    from conveyor.model.settlement import Settlement

__all__ = ["SqliteTransactions"]

T = TypeVar("T")

_ROLL_BACK_SECONDS: Final = 5.0
# Of rows that are written in one transaction several share a page, and it is pages that a checkpoint moves.
_ROWS_COUNTED_ONCE: Final = 2


class SqliteTransactions:
    """Transactions of runs, and adds that join them or their callers' own. See `TransactionStore`."""

    def __init__(
        self,
        options: SqliteOptions,
        loop: EventLoop,
        writer: Writer,
        clock: Clock,
        *,
        file: WatchedFile,
        on_commit: Callable[[], None],
    ) -> None:
        self._options = options
        self._file = file
        self._writer = writer
        self._clock = clock
        self._thread = TransactionThread(options, loop, file, on_commit)
        self._is_free = anyio.Semaphore(1, fast_acquire=True)
        self._gaps = Gaps(options.busy_timeout)
        self._paces = Paces()

    async def begin(self, lock: Lock, longest: timedelta, /) -> SqliteOpenTransaction:
        """Begin once it is this run's turn."""
        await self._is_free.acquire()
        turn = Turn(self._thread, self._options, lock, longest)
        try:
            if anyio.current_time() < self._gaps.free_at:
                await anyio.sleep_until(self._gaps.free_at)
            # What waits for the writer thread, such as a renewal, waited for the last transaction.
            await self._writer.let_pass()
            await turn.begin()
        except BaseException:
            await _leave(turn)
            self._is_free.release()
            raise
        began_at = anyio.current_time()

        def on_end(hints: Sequence[Notification]) -> None:
            self._gaps.note(began_at, anyio.current_time(), longest)
            self._is_free.release()
            self._writer.note_written(turn.changes // _ROWS_COUNTED_ONCE)
            if hints:
                self._writer.post(_publish, hints)

        connection = SqliteTransactionConnection(turn, self._clock, self._paces)
        return SqliteOpenTransaction(connection, turn, lock, on_end, check_file=self._file.check)

    async def close(self) -> None:
        """Roll back what is open, and end the thread."""
        await self._thread.close()

    async def save_jobs_in(self, connection: object, jobs: Sequence[NewJob]) -> Sequence[AddReceipt]:
        """Add inside a run's transaction of this store, or the caller's own; see `JobStore.save_jobs_in`."""
        return await self.run_in(connection, partial(save_jobs, jobs=jobs))

    async def run_in(self, connection: object, add: Callable[[Transaction], T]) -> T:
        """Add something, whole or not at all, inside a run's transaction of this store, or the caller's own."""
        if isinstance(connection, SqliteTransactionConnection):
            return await connection.add(add)
        if isinstance(connection, sqlite3.Connection):
            return join(connection, self._options.path, add, to_micros(self._clock.now()))
        kind = f"{type(connection).__module__}.{type(connection).__qualname__}"
        raise ConfigurationError(
            f"connection= takes a sqlite3.Connection, or what ctx.transaction() gives, got a {kind}"
        )


class SqliteTransactionConnection:
    """A `TransactionConnection`: what a handler writes with. Placeholders are sqlite3's: ``?``, ``?1``."""

    def __init__(self, turn: Turn, clock: Clock, paces: Paces) -> None:
        self._turn = turn
        self._clock = clock
        self._paces = paces
        self.hints: dict[Notification, None] = {}

    async def execute(self, sql: str, /, *params: object) -> int:
        """Run one statement and return how many rows it changed."""
        return await self._change(sql, 1, lambda connection: _execute(connection, sql, params))

    async def executemany(self, sql: str, rows: Iterable[Sequence[object]], /) -> int:
        """Run one statement for each row of parameters."""
        listed = list(rows)
        return await self._change(sql, len(listed), lambda connection: connection.executemany(sql, listed).rowcount)

    async def fetch(self, sql: str, /, *params: object) -> list[Row]:
        """Run one statement and return its rows by name of column."""
        return await self._turn.ask(lambda connection: _fetch(connection, sql, params))

    async def fetchrow(self, sql: str, /, *params: object) -> Row | None:
        """Run one statement and return its first row, or None."""
        rows = await self.fetch(sql, *params)
        return rows[0] if rows else None

    async def _change(self, sql: str, rows: int, work: Callable[[sqlite3.Connection], int]) -> int:
        ask = self._turn.ask_shortly if self._paces.is_short(sql, rows) else self._turn.ask
        return await ask(lambda connection: self._paces.measure(sql, rows, lambda: work(connection)))

    async def add(self, add: Callable[[Transaction], T]) -> T:
        """Add something inside the transaction."""
        return await self._turn.ask(lambda connection: add_in_savepoint(self.part(connection), add))

    def part(self, connection: sqlite3.Connection) -> Transaction:
        """Return the store's own view of the transaction, as of now; the user may have changed anything since."""
        part = Transaction(connection, to_micros(self._clock.now()))
        part.hints = self.hints
        return part


class SqliteOpenTransaction:
    """An `OpenTransaction`."""

    def __init__(
        self,
        connection: SqliteTransactionConnection,
        turn: Turn,
        lock: Lock,
        on_end: Callable[[Sequence[Notification]], None],
        *,
        check_file: Callable[[], None],
    ) -> None:
        self.connection = connection
        self._turn = turn
        self._lock = lock
        self._on_end = on_end
        self._check_file = check_file
        self._is_ended = False

    async def commit(
        self, settlement: Settlement, /, logs: Sequence[LogEntry] = (), progress: Sequence[ProgressReport] = ()
    ) -> None:
        """Write the reports, settle, and commit all."""

        def work(connection: sqlite3.Connection) -> None:
            part = self.connection.part(connection)
            set_progress(part, progress)
            append_logs(part, logs)
            if settle_jobs(part, (settlement,)).refused:
                raise LockLostError(str(self._lock.token), job_id=self._lock.job_id, queue_name=settlement.queue_name)
            self._turn.commit(connection)
            self._check_file()

        await self._end(self._turn.end(work))

    async def commit_step(self, batch_id: str, run: str, step: BatchStep, /) -> BatchStatus:
        """Save the step, and commit all."""

        def work(connection: sqlite3.Connection) -> BatchStatus:
            status, is_new = keep_step(self.connection.part(connection), batch_id, run, step)
            if is_new:
                self._turn.commit(connection)
                self._check_file()
            return status

        return await self._end(self._turn.end_beside(work))

    async def _end(self, ended: Awaitable[T]) -> T:
        """Await the last thing; what was to be told is told unless that fails."""
        hints: Sequence[Notification] = ()
        self._is_ended = True
        try:
            answer = await ended
            hints = tuple(self.connection.hints)
        finally:
            self._on_end(hints)
        return answer

    async def roll_back(self) -> None:
        """Undo everything."""
        if self._is_ended:
            return
        self._is_ended = True
        try:
            await self._turn.leave()
        finally:
            self._on_end(())


async def _leave(turn: Turn) -> None:
    with anyio.move_on_after(_ROLL_BACK_SECONDS, shield=True):
        await turn.leave()


def _publish(transaction: Transaction, hints: Sequence[Notification]) -> None:
    for hint in hints:
        transaction.hint(*hint)


def _execute(connection: sqlite3.Connection, sql: str, params: Sequence[object]) -> int:
    cursor = connection.execute(sql, params)
    # Rows that nobody asked for are read all the same: SQLite counts the changes when the statement is through.
    deque(cursor, maxlen=0)
    return cursor.rowcount


def _fetch(connection: sqlite3.Connection, sql: str, params: Sequence[object]) -> list[Row]:
    cursor = connection.execute(sql, params)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor]
