"""The queues facet of the SQLite store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conveyor._builtin.sqlite.changes import rerun_job
from conveyor._builtin.sqlite.events import note_of_queue
from conveyor._builtin.sqlite.rows import job_from_row, span_micros
from conveyor._builtin.sqlite.statements import sql
from conveyor._builtin.sqlite.telling import remove_jobs
from conveyor.errors import ConfigurationError
from conveyor.model.events import EventKind, NotificationKind
from conveyor.model.queries import ALL_NAMES
from conveyor.model.states import SETTLED_STATES, Command, JobState, refuse

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from conveyor._builtin.sqlite.readers import Readers
    from conveyor._builtin.sqlite.transaction import Transaction
    from conveyor._builtin.sqlite.writer import Writer
    from conveyor.model.job import JobData

__all__ = ["SqliteQueues"]

# Others may write between two chunks.
_DRAINED_AT_ONCE: Final = 5000
# What is forgotten with a queue, its jobs aside.
_OF_QUEUE: Final = (
    "queues/obliterate_pauses",
    "queues/obliterate_keys",
    "queues/obliterate_guards",
    "queues/obliterate_groups",
    "queues/obliterate_rates",
    "queues/obliterate_counts",
    "queues/obliterate_starts",
)


class SqliteQueues:
    """Whole queues: pause, count, list, clean. See `conveyor.contracts.store.queues`."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._write = writer.run
        self._read = readers.run

    async def pause_job_name(self, queue_name: str, job_name: str, /) -> None:
        """Fetch no more jobs of this name, or of the whole queue."""
        await self._write(_set_paused, "queues/pause_job_name", queue_name, job_name)

    async def resume_job_name(self, queue_name: str, job_name: str, /) -> None:
        """Undo `pause_job_name` for exactly this name."""
        await self._write(_set_paused, "queues/resume_job_name", queue_name, job_name)

    async def get_paused_job_names(self, queue_name: str, /) -> frozenset[str]:
        """Return what is paused."""
        return await self._read(_paused_job_names, queue_name)

    async def get_active_count(self, queue_name: str, /) -> int:
        """Return how many jobs run."""
        return await self.count_jobs(queue_name, JobState.ACTIVE)

    async def count_jobs(self, queue_name: str, state: JobState, /) -> int:
        """Return how many jobs are in this state."""
        return (await self.get_job_counts(queue_name))[state]

    async def get_job_counts(self, queue_name: str, /) -> Mapping[JobState, int]:
        """Return the counts of all states."""
        return await self._read(_job_counts, queue_name)

    async def list_jobs(
        self, queue_name: str, state: JobState, /, *, start: int = 0, end: int = 100
    ) -> Sequence[JobData]:
        """Return a page of jobs."""
        return await self._read(_list_jobs, queue_name, state, start, end)

    async def drain(self, queue_name: str, /) -> int:
        """Remove all jobs that neither run nor are settled, in chunks; those added meanwhile may stay."""
        bound = await self._read(_last_seq)
        removed = 0
        # Parents first: their children's removal would make them fail.
        for statement in ("queues/drain_parents", "queues/drain"):
            while chunk := await self._write(_drain, statement, queue_name, bound):
                removed += chunk
                if chunk < _DRAINED_AT_ONCE:
                    break
        await self._write(_tell_drained, queue_name, removed)
        return removed

    async def clean(self, queue_name: str, state: JobState, grace: timedelta, /, *, limit: int = 1000) -> int:
        """Remove settled jobs that ended longer ago than `grace`."""
        _check_settled(state)
        return await self._write(_clean, queue_name, state, grace, limit)

    async def obliterate(self, queue_name: str, /, *, force: bool = False) -> int:
        """Remove every job of the queue and its pauses; its limits stay."""
        return await self._write(_obliterate, queue_name, force)

    async def retry_jobs(self, queue_name: str, state: JobState, /, *, limit: int = 1000) -> int:
        """Rerun settled jobs, oldest first."""
        _check_settled(state)
        return await self._write(_retry_jobs, queue_name, state, limit)

    async def promote_jobs(self, queue_name: str, /, *, limit: int = 1000) -> int:
        """Promote delayed jobs by hand, soonest first."""
        return await self._write(_promote_jobs, queue_name, limit)


def _check_settled(state: JobState) -> None:
    if state not in SETTLED_STATES:
        settled = ", ".join(sorted(SETTLED_STATES))
        raise ConfigurationError(f"state must be one of the settled ones ({settled}), got {str(state)!r}")


def _set_paused(transaction: Transaction, statement: str, queue_name: str, job_name: str) -> None:
    transaction.make_queue(queue_name)
    if transaction.connection.execute(sql(statement), (queue_name, job_name)).rowcount:
        kind = EventKind.PAUSED if statement == "queues/pause_job_name" else EventKind.RESUMED
        note_of_queue(transaction, kind, queue_name, job_name="" if job_name == ALL_NAMES else job_name)
    transaction.hint(NotificationKind.CHANGED, queue_name)


def _paused_job_names(connection: sqlite3.Connection, queue_name: str) -> frozenset[str]:
    return frozenset(name for (name,) in connection.execute(sql("queues/get_paused_job_names"), (queue_name,)))


def _job_counts(connection: sqlite3.Connection, queue_name: str) -> Mapping[JobState, int]:
    found = dict(connection.execute(sql("queues/get_job_counts"), (queue_name,)).fetchall())
    return {state: found.get(state, 0) for state in JobState}


def _list_jobs(
    connection: sqlite3.Connection, queue_name: str, state: JobState, start: int, end: int
) -> Sequence[JobData]:
    first = max(start, 0)
    page = (queue_name, state, max(end - first, 0), first)
    statement = sql("queues/list_jobs_settled" if state.is_settled else "queues/list_jobs_live")
    return [job_from_row(row) for row in connection.execute(statement, page)]


def _last_seq(connection: sqlite3.Connection) -> int:
    return connection.execute(sql("queues/drain_bound")).fetchone()[0] or 0


def _drain(transaction: Transaction, statement: str, queue_name: str, bound: int) -> int:
    chosen = (queue_name, bound, _DRAINED_AT_ONCE)
    job_ids = [job_id for (job_id,) in transaction.connection.execute(sql(statement), chosen)]
    remove_jobs(transaction, job_ids)
    transaction.hint(NotificationKind.CHANGED, queue_name)
    return len(job_ids)


def _tell_drained(transaction: Transaction, queue_name: str, removed: int) -> None:
    note_of_queue(transaction, EventKind.DRAINED, queue_name, count=removed)


def _clean(transaction: Transaction, queue_name: str, state: JobState, grace: timedelta, limit: int) -> int:
    chosen = (queue_name, state, transaction.now - span_micros(grace), max(limit, 0))
    job_ids = [job_id for (job_id,) in transaction.connection.execute(sql("queues/clean"), chosen)]
    remove_jobs(transaction, job_ids)
    return len(job_ids)


def _obliterate(transaction: Transaction, queue_name: str, force: bool) -> int:
    connection = transaction.connection
    active = [job_id for (job_id,) in connection.execute(sql("queues/obliterate_active"), (queue_name,))]
    if active and not force:
        raise refuse(active[0], JobState.ACTIVE, Command.REMOVE, queue_name)
    job_ids = [job_id for (job_id,) in connection.execute(sql("queues/obliterate"), (queue_name,))]
    remove_jobs(transaction, job_ids)
    for statement in _OF_QUEUE:
        connection.execute(sql(statement), (queue_name,))
    transaction.forget_queue(queue_name)
    for job_id in active:
        transaction.hint(NotificationKind.REVOKED, queue_name, job_id)
    transaction.hint(NotificationKind.CHANGED, queue_name)
    return len(job_ids)


def _retry_jobs(transaction: Transaction, queue_name: str, state: JobState, limit: int) -> int:
    chosen = (queue_name, state, max(limit, 0))
    rows = transaction.connection.execute(sql("queues/retry_jobs"), chosen).fetchall()
    for (job_id,) in rows:
        rerun_job(transaction, job_id, None)
    return len(rows)


def _promote_jobs(transaction: Transaction, queue_name: str, limit: int) -> int:
    chosen = (queue_name, transaction.now, max(limit, 0))
    promoted = transaction.connection.execute(sql("queues/promote_jobs"), chosen).rowcount
    if promoted:
        transaction.hint(NotificationKind.ADDED, queue_name)
    return promoted
