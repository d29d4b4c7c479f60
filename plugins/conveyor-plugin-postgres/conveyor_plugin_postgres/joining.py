"""Adding inside a caller's own transaction, over the connection that the caller has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conveyor.errors import ConfigurationError
from conveyor_plugin_postgres.adding import add_columns, has_size, key_columns, receipts_of, runs_of, size_columns
from conveyor_plugin_postgres.buffers import buffer_columns, buffer_receipts
from conveyor_plugin_postgres.callers import caller_of
from conveyor_plugin_postgres.driver_errors import statement_error
from conveyor_plugin_postgres.flow_adding import flow_receipts, whole_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.model.flows import FlowPlan
    from conveyor.model.job import NewJob
    from conveyor.model.queries import AddReceipt
    from conveyor_plugin_postgres.database import Database
    from conveyor_plugin_postgres.part import Part, Row

__all__ = ["Joiner"]

# What PostgreSQL says where there is nothing of conveyor's: no such schema, no such function.
_NOTHING_THERE = frozenset({"3F000", "42883"})


class Joiner:
    """Adds on connections of callers, and knows its own database from others."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._identity: str | None = None

    async def save_jobs(self, connection: object, jobs: Sequence[NewJob]) -> Sequence[AddReceipt]:
        """Add jobs in the caller's transaction; those who wait are woken when it commits.

        Raises:
            ConfigurationError: the connection is of no kind we know, is on another database, or has no transaction.
            StoreError: the driver failed; the add left nothing.
        """
        caller_of(connection)
        if not jobs:
            return ()
        runs = runs_of(jobs)
        rows = await self._run(connection, [self._statement(run) for run in runs])
        return [receipt for run, row in zip(runs, rows, strict=True) for receipt in receipts_of(run, row)]

    async def save_flow(self, connection: object, plan: FlowPlan) -> Sequence[AddReceipt]:
        """Add a flow in the caller's transaction, as `save_jobs` adds jobs.

        Raises:
            ConfigurationError, StoreError: as for `save_jobs`.
        """
        first, last = whole_columns(plan)
        (row,) = await self._run(connection, [("flows/save_flow_in", (*first, self._database.moment(), *last))])
        return flow_receipts(plan, plan.jobs, row)

    async def add_to_buffer(self, connection: object, buffer_id: str, jobs: Sequence[NewJob]) -> Sequence[AddReceipt]:
        """Put jobs into a buffer in the caller's transaction, as `save_jobs` adds jobs.

        Raises:
            ConfigurationError, StoreError: as for `save_jobs`.
        """
        arguments = (*buffer_columns(buffer_id, jobs), self._database.moment())
        (row,) = await self._run(connection, [("buffers/add_in", arguments)])
        return buffer_receipts(jobs, row[2])

    async def _run(self, connection: object, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> Sequence[Row]:
        """Run statements in the caller's transaction; their rows have our database's identity in the fourth place."""
        caller = caller_of(connection)
        expected = await self._get_identity()
        found: list[Row] = []

        def accept(row: Row) -> None:
            # Inside the savepoint: what it refuses is undone.
            if row[3] != expected:
                raise self._elsewhere()
            found.append(row)

        try:
            statements = self._database.statements
            await caller.run(connection, [(statements[name], arguments) for name, arguments in calls], accept)
        except caller.errors() as exc:
            # SQLAlchemy wraps what its driver raised.
            error: Exception = getattr(exc, "orig", None) or exc
            if getattr(error, "sqlstate", None) in _NOTHING_THERE:
                raise self._elsewhere() from exc
            raise statement_error(error, self._database.options.shown) from exc
        return found

    def _statement(self, jobs: Sequence[NewJob]) -> tuple[str, tuple[Any, ...]]:
        """Return the statement that adds such jobs, and its arguments."""
        arguments = (*add_columns(jobs), self._database.moment())
        if jobs[0].deduplication is not None and has_size(jobs[0]):
            (group_id,), (size,) = size_columns(jobs)
            return "jobs/save_jobs_sized_keyed_in", (*arguments, *key_columns(jobs), group_id, size)
        if any(job.deduplication is not None for job in jobs):
            return "jobs/save_jobs_deduplicated_in", (*arguments, *key_columns(jobs))
        if any(has_size(job) for job in jobs):
            return "jobs/save_jobs_sized_in", (*arguments, *size_columns(jobs))
        return "jobs/save_jobs_in", arguments

    async def _get_identity(self) -> str:
        if self._identity is None:
            self._identity = await self._database.read(_identity)
        return self._identity

    def _elsewhere(self) -> ConfigurationError:
        shown = self._database.options.shown
        return ConfigurationError(f"connection= is on another database than the store, which is {shown}")


async def _identity(part: Part) -> str:
    identity: str = await part.fetchval("jobs/save_jobs_in_identity")
    return identity
