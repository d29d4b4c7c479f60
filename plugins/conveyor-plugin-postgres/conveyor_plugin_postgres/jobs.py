"""The jobs facet of the PostgreSQL store: each verb is one operation of the database."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from conveyor.errors import StoreError
from conveyor.model.settlement import SettleReport
from conveyor_plugin_postgres import adding, changes, editing, fetching, journal, locking, reading, retaining, settling

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from datetime import datetime, timedelta

    from conveyor.model.job import Attempt, Ending, JobData, LogEntry, NewJob, ProgressReport
    from conveyor.model.locks import Lock
    from conveyor.model.queries import AddReceipt, Want
    from conveyor.model.retention import Retention
    from conveyor.model.settlement import Refusal, Settlement
    from conveyor_plugin_postgres.database import Database
    from conveyor_plugin_postgres.low_water import LowWater, Start
    from conveyor_plugin_postgres.part import Row
    from conveyor_plugin_postgres.transactions import PostgresTransactions

__all__ = ["PostgresJobs"]

T = TypeVar("T")


class PostgresJobs:
    """Jobs: add, fetch, settle, change, read. See `conveyor.contracts.store.jobs`."""

    def __init__(self, database: Database, transactions: PostgresTransactions, low_water: LowWater) -> None:
        self._database = database
        send = partial(database.write_one, adding.save_jobs)
        self._adder = adding.Adder(send)
        # Apart: who adds with a key may wait for a caller's own transaction that has the key, and others must not.
        self._key_adder = adding.Adder(send)
        self._transactions = transactions
        self._low_water = low_water

    async def save_job(self, job: NewJob, /) -> AddReceipt:
        """Add one job; those of concurrent callers share a statement."""
        adder = self._adder if job.deduplication is None else self._key_adder
        return await adder.save_job(job)

    async def save_jobs(self, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        """Add jobs in one transaction."""
        run = self._database.write_one if len(adding.runs_of(jobs)) <= 1 else self._database.write
        return await run(adding.save_jobs, jobs)

    async def save_jobs_in(self, connection: object, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        """Add jobs inside the caller's transaction."""
        return await self._transactions.save_jobs_in(connection, jobs)

    async def get_job(self, queue_name: str, job_id: str, /) -> JobData | None:
        """Return the job where this queue has it."""
        return await self._database.read(reading.get_job, queue_name, job_id)

    async def find_job(self, job_id: str, /) -> JobData | None:
        """Return the job from whichever queue."""
        return await self._database.read(reading.look_for_job, job_id)

    async def find_by_deduplication_key(self, queue_name: str, job_name: str, key: str, /) -> JobData | None:
        """Return the live job that has the key."""
        return await self._database.read(reading.find_by_key, queue_name, job_name, key)

    async def find_jobs(self, job_ids: Sequence[str], /) -> Mapping[str, JobData]:
        """Return those of the jobs that exist."""
        return await self._database.read(reading.find_jobs, job_ids)

    async def find_endings(self, job_ids: Sequence[str], /) -> Mapping[str, Ending]:
        """Return how those of the jobs ended that left no record."""
        return await self._database.read(reading.find_endings, job_ids)

    async def fetch_jobs(
        self, wants: Sequence[Want], worker_id: str, lock_duration: timedelta, /, *, fetch_number: int
    ) -> Sequence[JobData]:
        """Lock the next jobs for a worker session."""
        start = self._low_water.begin(wants)
        fetch = fetching.fetch_columns(wants, start, worker_id, lock_duration, fetch_number)
        return self._fetched(wants, start, await self._database.write_one(fetching.fetch_jobs, fetch))

    async def get_suspect_queues(self, queue_names: Sequence[str], /) -> Sequence[str]:
        """Return the queues that have a suspect to fetch."""
        return await self._database.read(reading.get_suspect_queues, queue_names)

    async def extend_locks(self, locks: Sequence[Lock], lock_duration: timedelta, /) -> Sequence[Lock]:
        """Keep locks and return those that are lost."""
        return await self._database.write(locking.extend_locks, locks, lock_duration)

    async def release_locks(self, locks: Sequence[Lock], /) -> Sequence[Lock]:
        """Hand jobs back and return the locks that were lost."""
        return await self._database.write_one(locking.release_locks, locks)

    async def settle_jobs(
        self,
        settlements: Sequence[Settlement],
        wants: Sequence[Want] = (),
        worker_id: str = "",
        lock_duration: timedelta | None = None,
        /,
        *,
        fetch_number: int = 0,
    ) -> SettleReport:
        """Record how runs ended, and optionally fetch the next jobs."""
        if not wants or lock_duration is None:
            return await self._settled(settlements, settling.settle_jobs, settling.settle_apart)
        start = self._low_water.begin(wants)
        fetch = fetching.fetch_columns(wants, start, worker_id, lock_duration, fetch_number)
        refused, rows = await self._settled(
            settlements, settling.settle_and_fetch, settling.settle_apart_and_fetch, fetch
        )
        return SettleReport(refused, self._fetched(wants, start, rows))

    async def _settled(
        self,
        settlements: Sequence[Settlement],
        at_once: Callable[..., Coroutine[Any, Any, T]],
        apart: Callable[..., Coroutine[Any, Any, T]],
        *more: object,
    ) -> T:
        # Settlements of one job twice take a statement each, which all belong to one transaction.
        run = self._database.write_one if settling.is_one_round(settlements) else self._database.write
        try:
            return await run(at_once, settlements, *more)
        except StoreError as exc:
            if not settling.is_half_applied(exc):
                raise
            return await self._database.write(apart, settlements, *more)

    def _fetched(self, wants: Sequence[Want], start: Start, rows: list[Row]) -> Sequence[JobData]:
        self._low_water.learn(wants, start, rows)
        return fetching.jobs_in_order(rows, wants)

    async def set_progress(self, reports: Sequence[ProgressReport], /) -> Sequence[Refusal]:
        """Store the runs' progress."""
        return await self._database.write_one(journal.set_progress, reports)

    async def append_logs(self, entries: Sequence[LogEntry], /) -> Sequence[Refusal]:
        """Append lines."""
        return await self._database.write_one(journal.append_logs, entries)

    async def get_logs(self, job_id: str, /, *, start: int = 0, end: int = 1000) -> Sequence[LogEntry]:
        """Return lines, oldest first."""
        return await self._database.read(reading.get_logs, job_id, start, end)

    async def clear_logs(self, job_id: str, /) -> int:
        """Delete a job's lines."""
        return await self._database.write_one(journal.clear_logs, job_id)

    async def get_attempts(self, job_id: str, /) -> Sequence[Attempt]:
        """Return the runs that ended, oldest first."""
        return await self._database.read(reading.get_attempts, job_id)

    async def cancel_job(self, job_id: str, reason: str, /) -> JobData:
        """End a live job as cancelled."""
        return await self._database.write(changes.cancel_job, job_id, reason)

    async def promote_job(self, job_id: str, /) -> JobData:
        """Make a delayed job wait."""
        return await self._database.write(changes.promote_job, job_id)

    async def rerun_job(self, job_id: str, payload: bytes | None = None, /) -> JobData:
        """Make a settled job wait again."""
        return await self._database.write(changes.rerun_job, job_id, payload)

    async def remove_job(self, job_id: str, /) -> None:
        """Delete a job that is not active."""
        await self._database.write(changes.remove_job, job_id)

    async def update_data(self, job_id: str, payload: bytes, /) -> JobData:
        """Give a live job another payload."""
        return await self._database.write(editing.update_data, job_id, payload)

    async def change_delay(self, job_id: str, delay: timedelta, /) -> JobData:
        """Let a delayed job be due so long from now."""
        return await self._database.write(editing.change_delay, job_id, delay)

    async def change_priority(self, job_id: str, priority: int, /) -> JobData:
        """Give a job that is not active another priority."""
        return await self._database.write(editing.change_priority, job_id, priority)

    async def move_to_delayed(self, job_id: str, run_at: datetime, /) -> JobData:
        """Put a job off until a time."""
        return await self._database.write(editing.move_to_delayed, job_id, run_at)

    async def move_to_failed(self, job_id: str, reason: str, /) -> JobData:
        """End a live job as failed."""
        return await self._database.write(changes.move_to_failed, job_id, reason)

    async def discard(self, job_id: str, /) -> JobData:
        """Let a live job have no further attempt."""
        return await self._database.write(editing.discard, job_id)

    async def get_next_delayed_timestamp(self, queue_names: Sequence[str], /) -> datetime | None:
        """Return when the next delayed job of these queues is due."""
        return await self._database.read(reading.get_next_delayed_timestamp, queue_names)

    async def promote_delayed_jobs(self, queue_names: Sequence[str], /, *, limit: int = 1000) -> int:
        """Make delayed jobs wait whose time has come."""
        return await self._database.write_one(changes.promote_delayed_jobs, queue_names, limit)

    async def expire_jobs(self, *, limit: int = 1000) -> int:
        """Cancel what had not started in time."""
        return await self._database.write_one(changes.expire_jobs, limit)

    async def remove_outdated_jobs(
        self, queue_names: Sequence[str], retention: Retention, /, *, limit: int = 1000
    ) -> int:
        """Remove settled jobs that are to be kept no longer."""
        dropped = 0
        # Where tests set the time, days are not the database's.
        if limit > 0 and self._database.moment() is None:
            dropped = await self._database.write_one(retaining.drop_days, queue_names, retention)
        return dropped + await self._database.write(retaining.remove_outdated_jobs, queue_names, retention, limit)

    async def get_stalled_jobs(self, threshold: timedelta, /, *, limit: int = 1000) -> Sequence[JobData]:
        """Return active jobs whose lock has been over for longer than the threshold."""
        return await self._database.read(locking.get_stalled_jobs, threshold, limit)

    async def reclaim_stalled_jobs(self, max_stalled: int, /, *, limit: int = 1000) -> Sequence[JobData]:
        """Take active jobs whose lock is over away from their workers."""
        # Nearly always there are none, and to know that takes no transaction.
        if not await self._database.read(locking.has_expired_sessions):
            return ()
        return await self._database.write(locking.reclaim_stalled_jobs, max_stalled, limit)
