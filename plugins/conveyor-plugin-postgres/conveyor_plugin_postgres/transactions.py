"""The transactions facet of the PostgreSQL store: an actor on asyncio's side holds connection and transaction."""

from __future__ import annotations

import asyncio
import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio
import asyncpg

from conveyor.errors import ConfigurationError, LockLostError, StoreError, StoreUnavailableError
from conveyor_plugin_postgres.adding import save_jobs
from conveyor_plugin_postgres.driver_errors import DRIVER_ERRORS, statement_error, store_error
from conveyor_plugin_postgres.joining import Joiner
from conveyor_plugin_postgres.journal import append_logs, set_progress
from conveyor_plugin_postgres.settling import settle_jobs

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence
    from datetime import timedelta

    from conveyor.contracts.store.transactions import Row
    from conveyor.model.events import Notification
    from conveyor.model.job import LogEntry, NewJob, ProgressReport
    from conveyor.model.locks import Lock
    from conveyor.model.queries import AddReceipt
    from conveyor.model.settlement import Settlement
    from conveyor_plugin_postgres.database import Database
    from conveyor_plugin_postgres.part import Part

__all__ = ["PostgresTransactions"]

T = TypeVar("T")

# What would end the transaction behind conveyor's back, or begin another.
_ENDING: Final = re.compile(
    r"\s*(?:begin|start\s+transaction|commit|end|abort|prepare\s+transaction|rollback(?!\s+(?:work\s+|transaction\s+)?to\b))\b",
    re.IGNORECASE,
)
_COMMENTS: Final = re.compile(r"\A(?:\s|--[^\n]*\n|/\*.*?\*/)*", re.DOTALL)


class PostgresTransactions:
    """Transactions of runs, and adds that join them or their callers' own. See `TransactionStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._joiner = Joiner(database)

    async def begin(self, lock: Lock, longest: timedelta, /) -> PostgresOpenTransaction:
        """Begin on a connection of the pool."""
        held = _Held(self._database, lock, longest.total_seconds())
        await held.call(held.begin)
        return PostgresOpenTransaction(self._database, held)

    async def save_jobs_in(self, connection: object, jobs: Sequence[NewJob]) -> Sequence[AddReceipt]:
        """Add inside a run's transaction of this store, or the caller's own; see `JobStore.save_jobs_in`."""
        if isinstance(connection, PostgresTransactionConnection):
            return await connection.save_jobs(jobs)
        return await self._joiner.save_jobs(connection, jobs)


class _Held:
    """A connection within a transaction, with a time limit. Its methods run on asyncio's side, one at a time."""

    def __init__(self, database: Database, lock: Lock, longest_seconds: float) -> None:
        self.database = database
        self.lock = lock
        self._longest_seconds = longest_seconds
        self._connection: Any = None
        self._turn = anyio.Lock()
        self._ends_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._is_late = False
        self._is_spoiled = False
        self.hints: dict[Notification, None] = {}

    async def call(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """From the program's side, do something with the connection once it is this caller's turn."""
        async with self._turn:
            return await self.database.bridge.call(work)

    async def call_for_user(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do something that may be cancelled; after that nobody knows what took effect."""
        try:
            async with self._turn:
                return await self.database.bridge.call(work, shield=False)
        except anyio.get_cancelled_exc_class():
            self._is_spoiled = True
            raise

    async def begin(self) -> None:
        """Take a connection, begin, and look whether the run owns its job."""
        loop = asyncio.get_running_loop()
        self._ends_at = loop.time() + self._longest_seconds
        try:
            async with asyncio.timeout_at(self._ends_at):
                self._connection = await self.database.acquire()
                await self._begin()
        except DRIVER_ERRORS as exc:
            await self.leave()
            raise store_error(exc, self.database.options.shown) from exc
        except LockLostError:
            await self.leave()
            raise
        # The server would wait for a program that hangs; so would everybody who waits for a row of it.
        self._timer = loop.call_at(self._ends_at, self._run_out)

    async def _begin(self) -> None:
        await self._connection.execute("begin")
        milliseconds = max(int(self._longest_seconds * 1000), 1)
        for setting in ("statement_timeout", "idle_in_transaction_session_timeout"):
            await self._connection.execute(f"set local {setting} = {milliseconds}")
        part = self.part()
        if not await part.fetchval("transactions/begin", self.lock.job_id, *self.lock.token):
            raise LockLostError(str(self.lock.token), job_id=self.lock.job_id, queue_name="")

    def part(self) -> Part:
        """Return the store's own view of the transaction."""
        part = self.database.part(self._connection)
        part.hints = self.hints
        return part

    async def user(self, work: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
        """Run a statement of the user's."""
        self.check()
        try:
            return await work(self._connection)
        except DRIVER_ERRORS as exc:
            self.check()
            raise statement_error(exc, self.database.options.shown) from exc

    async def own(self, work: Callable[[Part], Coroutine[Any, Any, T]]) -> T:
        """Run something of the store's own inside."""
        self.check()
        try:
            return await work(self.part())
        except DRIVER_ERRORS as exc:
            self.check()
            raise store_error(exc, self.database.options.shown) from exc

    async def commit(self) -> None:
        """Commit. Where the answer is lost, nobody here knows whether it took effect."""
        self.check()
        try:
            await self._connection.execute("commit")
        except DRIVER_ERRORS as exc:
            raise StoreUnavailableError(f"{self.database.options.shown}: the answer to a commit was lost") from exc
        finally:
            await self.leave()

    def check(self) -> None:
        """Raise unless the transaction is there and within its time."""
        if self._is_late:
            raise TimeoutError(f"the transaction took longer than {self._longest_seconds:g} s, and was rolled back")
        if self._is_spoiled:
            raise StoreError("a statement of the transaction was cancelled: it can only be rolled back")
        if self._connection is None:
            raise StoreError("the transaction is over")
        if self._connection.is_closed():
            raise StoreError("the database ended the transaction: its connection is gone")

    async def leave(self) -> None:
        """Roll back what is not committed, and give the connection back."""
        if self._timer is not None:
            self._timer.cancel()
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            if connection.is_in_transaction():
                await connection.execute("rollback", timeout=self.database.options.connect_timeout.total_seconds())
        except DRIVER_ERRORS:
            pass  # it is closed below, and the server rolls back what it hears no more of
        finally:
            await self.database.release(connection)

    def _run_out(self) -> None:
        self._is_late = True
        if self._connection is not None:
            # Whatever is on its way ends with an error; the server rolls back what it hears no more of.
            self._connection.terminate()


class PostgresTransactionConnection:
    """A `TransactionConnection`: what a handler writes with. Placeholders are PostgreSQL's: ``$1``, ``$2``."""

    def __init__(self, held: _Held) -> None:
        self._held = held

    async def execute(self, sql: str, /, *params: object) -> int:
        """Run one statement and return how many rows it changed."""
        _check(sql)
        tag = await self._run(lambda connection: connection.execute(sql, *params))
        return _changed(tag)

    async def executemany(self, sql: str, rows: Iterable[Sequence[object]], /) -> int:
        """Run one statement for each row of parameters."""
        _check(sql)
        listed = [tuple(row) for row in rows]
        return await self._run(lambda connection: _execute_many(connection, sql, listed))

    async def fetch(self, sql: str, /, *params: object) -> list[Row]:
        """Run one statement and return its rows by name of column."""
        _check(sql)
        rows = await self._run(lambda connection: connection.fetch(sql, *params))
        return [dict(row) for row in rows]

    async def fetchrow(self, sql: str, /, *params: object) -> Row | None:
        """Run one statement and return its first row, or None."""
        rows = await self.fetch(sql, *params)
        return rows[0] if rows else None

    async def save_jobs(self, jobs: Sequence[NewJob]) -> Sequence[AddReceipt]:
        """Add jobs inside the transaction."""
        held = self._held
        return await held.call_for_user(lambda: held.own(lambda part: save_jobs(part, jobs)))

    async def _run(self, work: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
        held = self._held
        return await held.call_for_user(lambda: held.user(lambda connection: _in_savepoint(connection, work)))


class PostgresOpenTransaction:
    """An `OpenTransaction`."""

    def __init__(self, database: Database, held: _Held) -> None:
        self.connection = PostgresTransactionConnection(held)
        self._database = database
        self._held = held
        self._is_ended = False

    async def commit(
        self, settlement: Settlement, /, logs: Sequence[LogEntry] = (), progress: Sequence[ProgressReport] = ()
    ) -> None:
        """Write the reports, settle, and commit all."""
        await self._held.call(partial(self._commit, settlement, logs, progress))
        self._database.post(tuple(self._held.hints))

    async def roll_back(self) -> None:
        """Undo everything."""
        if not self._is_ended:
            await self._held.call(self._roll_back)

    async def _roll_back(self) -> None:
        self._is_ended = True
        await self._held.leave()

    async def _commit(
        self, settlement: Settlement, logs: Sequence[LogEntry], progress: Sequence[ProgressReport]
    ) -> None:
        # Not before: a commit that is cancelled while it waits for its turn is none, and a rollback follows.
        self._is_ended = True
        held, lock = self._held, self._held.lock

        async def settle(part: Part) -> None:
            if progress:
                await set_progress(part, progress)
            if logs:
                await append_logs(part, logs)
            if (await settle_jobs(part, (settlement,))).refused:
                raise LockLostError(str(lock.token), job_id=lock.job_id, queue_name=settlement.queue_name)

        try:
            await held.own(settle)
            await held.commit()
        finally:
            await held.leave()


def _check(sql: str) -> None:
    if _ENDING.match(sql, _COMMENTS.match(sql).end()):  # type: ignore[union-attr] # it matches the empty string
        raise ConfigurationError(
            "the transaction is conveyor's: leave its block to commit, raise to roll back; savepoints are yours to set"
        )


async def _in_savepoint(connection: Any, work: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
    """Run a statement so that its failure leaves the transaction usable, as other databases do."""
    await connection.execute("savepoint conveyor_statement")
    try:
        value = await work(connection)
    except asyncpg.PostgresError:
        await connection.execute("rollback to savepoint conveyor_statement")
        raise
    await connection.execute("release savepoint conveyor_statement")
    return value


async def _execute_many(connection: Any, sql: str, rows: Sequence[Sequence[object]]) -> int:
    changed = 0
    statement = await connection.prepare(sql)
    for row in rows:
        await statement.fetch(*row)
        changed += _changed(statement.get_statusmsg())
    return changed


def _changed(tag: str) -> int:
    last = tag.rpartition(" ")[2]
    return int(last) if last.isdigit() and not tag.startswith("SELECT") else -1
