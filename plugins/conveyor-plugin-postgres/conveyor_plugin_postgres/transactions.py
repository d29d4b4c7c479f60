"""The transactions facet of the PostgreSQL store: an actor on asyncio's side holds connection and transaction."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from conveyor.errors import ConfigurationError, LockLostError
from conveyor_plugin_postgres import buffers
from conveyor_plugin_postgres.adding import save_jobs
from conveyor_plugin_postgres.batch_steps import save_step
from conveyor_plugin_postgres.bulk_statements import changed_rows, execute_many
from conveyor_plugin_postgres.flow_adding import save_flow
from conveyor_plugin_postgres.held import SAVEPOINT, Held
from conveyor_plugin_postgres.joining import Joiner
from conveyor_plugin_postgres.journal import append_logs, set_progress
from conveyor_plugin_postgres.settling import settle_jobs

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence
    from datetime import timedelta

    from conveyor.contracts.store.transactions import Row
    from conveyor.model.batches.status import BatchStatus
    from conveyor.model.batches.values import BatchStep
    from conveyor.model.flows import FlowPlan
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
_SAVEPOINT: Final = re.compile(r"(?:savepoint|release|rollback\s+to)\b", re.IGNORECASE)
_COMMENTS: Final = re.compile(r"\A(?:\s|--[^\n]*\n|/\*.*?\*/)*", re.DOTALL)


class PostgresTransactions:
    """Transactions of runs, and adds that join them or their callers' own. See `TransactionStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._joiner = Joiner(database)

    async def begin(self, lock: Lock, longest: timedelta, /) -> PostgresOpenTransaction:
        """Begin on a connection of the pool."""
        held = Held(self._database, lock, longest.total_seconds())
        await held.call(held.begin)
        return PostgresOpenTransaction(self._database, held)

    async def save_jobs_in(self, connection: object, jobs: Sequence[NewJob]) -> Sequence[AddReceipt]:
        """Add inside a run's transaction of this store, or the caller's own; see `JobStore.save_jobs_in`."""
        if isinstance(connection, PostgresTransactionConnection):
            return await connection.save_jobs(jobs)
        return await self._joiner.save_jobs(connection, jobs)

    async def save_flow_in(self, connection: object, plan: FlowPlan) -> Sequence[AddReceipt]:
        """Add a flow inside a run's transaction of this store, or the caller's own; see `FlowStore.save_flow_in`."""
        if isinstance(connection, PostgresTransactionConnection):
            return await connection.save_flow(plan)
        return await self._joiner.save_flow(connection, plan)

    async def add_to_buffer_in(
        self, connection: object, buffer_id: str, jobs: Sequence[NewJob]
    ) -> Sequence[AddReceipt]:
        """Put jobs into a buffer inside a run's transaction of this store, or the caller's own; see `BufferStore`."""
        if isinstance(connection, PostgresTransactionConnection):
            return await connection.add_to_buffer(buffer_id, jobs)
        return await self._joiner.add_to_buffer(connection, buffer_id, jobs)


class PostgresTransactionConnection:
    """A `TransactionConnection`: what a handler writes with. Placeholders are PostgreSQL's: ``$1``, ``$2``."""

    def __init__(self, held: Held) -> None:
        self._held = held

    async def execute(self, sql: str, /, *params: object) -> int:
        """Run one statement and return how many rows it changed."""
        _check(sql)
        if _SAVEPOINT.match(sql, _COMMENTS.match(sql).end()):  # type: ignore[union-attr] # it matches the empty string
            held = self._held
            return changed_rows(await held.call_for_user(lambda: held.user_savepoint(sql)))
        tag = await self._run(lambda connection: connection.execute(sql, *params))
        return changed_rows(tag)

    async def executemany(self, sql: str, rows: Iterable[Sequence[object]], /) -> int:
        """Run one statement for each row of parameters, many of them in one round trip."""
        _check(sql)
        listed = [tuple(row) for row in rows]
        return await self._run(lambda connection: execute_many(connection, sql, listed, savepoint=SAVEPOINT))

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

    async def save_flow(self, plan: FlowPlan) -> Sequence[AddReceipt]:
        """Add a flow inside the transaction."""
        held = self._held
        return await held.call_for_user(lambda: held.own(lambda part: save_flow(part, plan)))

    async def add_to_buffer(self, buffer_id: str, jobs: Sequence[NewJob]) -> Sequence[AddReceipt]:
        """Put jobs into a buffer inside the transaction."""
        held = self._held
        return await held.call_for_user(lambda: held.own(lambda part: buffers.add(part, buffer_id, jobs)))

    async def _run(self, work: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
        held = self._held
        return await held.call_for_user(lambda: held.user(work))


class PostgresOpenTransaction:
    """An `OpenTransaction`."""

    def __init__(self, database: Database, held: Held) -> None:
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

    async def commit_step(self, batch_id: str, run: str, step: BatchStep, /) -> BatchStatus:
        """Save the step, and commit all."""
        status = await self._held.call(partial(self._commit_step, batch_id, run, step))
        self._database.post(tuple(self._held.hints))
        return status

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

    async def _commit_step(self, batch_id: str, run: str, step: BatchStep) -> BatchStatus:
        self._is_ended = True
        held = self._held
        try:
            status, is_new = await held.own(lambda part: save_step(part, batch_id, run, step))
            if is_new:
                await held.commit()
        finally:
            await held.leave()
        return status


def _check(sql: str) -> None:
    if _ENDING.match(sql, _COMMENTS.match(sql).end()):  # type: ignore[union-attr] # it matches the empty string
        raise ConfigurationError(
            "the transaction is conveyor's: leave its block to commit, raise to roll back; savepoints are yours to set"
        )
