"""The jobs facet of the SQLite store: each verb is one operation of the writer, or one reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor._builtin.sqlite import (
    adding,
    changes,
    deduplicating,
    editing,
    expiring,
    fetching,
    journal,
    locking,
    reading,
    retaining,
    settling,
)
from conveyor._builtin.sqlite.rows import to_micros

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from conveyor._builtin.sqlite.readers import Readers
    from conveyor._builtin.sqlite.transaction import Transaction
    from conveyor._builtin.sqlite.transactions import SqliteTransactions
    from conveyor._builtin.sqlite.writer import Writer
    from conveyor.contracts.clock import Clock
    from conveyor.model.job import Attempt, Ending, JobData, LogEntry, NewJob, ProgressReport
    from conveyor.model.locks import Lock
    from conveyor.model.queries import AddReceipt, Want
    from conveyor.model.retention import Retention
    from conveyor.model.settlement import Refusal, Settlement, SettleReport

__all__ = ["SqliteJobs"]


class SqliteJobs:
    """Jobs: add, fetch, settle, change, read. See `conveyor.contracts.store.jobs`."""

    def __init__(self, writer: Writer, readers: Readers, clock: Clock, transactions: SqliteTransactions) -> None:
        self._write = writer.run
        self._write_passing = writer.run_passing
        self._write_item = writer.run_item
        self._read = readers.run
        self._clock = clock
        self._transactions = transactions

    async def save_job(self, job: NewJob, /) -> AddReceipt:
        """Add one job; those of concurrent callers share a commit."""
        return await self._write_item(adding.save_jobs, job)

    async def save_jobs(self, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        """Add jobs in one transaction."""
        return await self._write(adding.save_jobs, jobs)

    async def save_jobs_in(self, connection: object, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        """Add jobs inside the caller's transaction."""
        return await self._transactions.save_jobs_in(connection, jobs)

    async def get_job(self, queue_name: str, job_id: str, /) -> JobData | None:
        """Return the job where this queue has it."""
        return await self._read(reading.get_job, queue_name, job_id)

    async def find_job(self, job_id: str, /) -> JobData | None:
        """Return the job from whichever queue."""
        return await self._read(reading.look_for_job, job_id)

    async def find_by_deduplication_key(self, queue_name: str, job_name: str, key: str, /) -> JobData | None:
        """Return the live job that has the key."""
        now = to_micros(self._clock.now())
        return await self._read(deduplicating.find_by_key, now, queue_name, job_name, key)

    async def find_jobs(self, job_ids: Sequence[str], /) -> Mapping[str, JobData]:
        """Return those of the jobs that exist."""
        return await self._read(reading.find_jobs, job_ids)

    async def find_endings(self, job_ids: Sequence[str], /) -> Mapping[str, Ending]:
        """Return how those of the jobs ended that left no record."""
        return await self._read(reading.find_endings, job_ids)

    async def fetch_jobs(
        self, wants: Sequence[Want], worker_id: str, lock_duration: timedelta, /, *, fetch_number: int
    ) -> Sequence[JobData]:
        """Lock the next jobs for a worker session."""
        return await self._write_passing(fetching.fetch_jobs, wants, worker_id, lock_duration, fetch_number)

    async def get_suspect_queues(self, queue_names: Sequence[str], /) -> Sequence[str]:
        """Return the queues that have a suspect to fetch."""
        return await self._read(reading.get_suspect_queues, queue_names)

    async def extend_locks(self, locks: Sequence[Lock], lock_duration: timedelta, /) -> Sequence[Lock]:
        """Keep locks and return those that are lost."""
        return await self._write_passing(locking.extend_locks, locks, lock_duration)

    async def release_locks(self, locks: Sequence[Lock], /) -> Sequence[Lock]:
        """Hand jobs back and return the locks that were lost."""
        return await self._write_passing(locking.release_locks, locks)

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
            return await self._write(settling.settle_jobs, settlements)
        duration = lock_duration

        def fetch(transaction: Transaction) -> Sequence[JobData]:
            return fetching.fetch_jobs(transaction, wants, worker_id, duration, fetch_number)

        return await self._write(settling.settle_and_fetch, settlements, fetch)

    async def set_progress(self, reports: Sequence[ProgressReport], /) -> Sequence[Refusal]:
        """Store the runs' progress."""
        return await self._write_passing(journal.set_progress, reports)

    async def append_logs(self, entries: Sequence[LogEntry], /) -> Sequence[Refusal]:
        """Append lines."""
        return await self._write(journal.append_logs, entries)

    async def get_logs(self, job_id: str, /, *, start: int = 0, end: int = 1000) -> Sequence[LogEntry]:
        """Return lines, oldest first."""
        return await self._read(reading.get_logs, job_id, start, end)

    async def clear_logs(self, job_id: str, /) -> int:
        """Delete the job's lines."""
        return await self._write(journal.clear_logs, job_id)

    async def get_attempts(self, job_id: str, /) -> Sequence[Attempt]:
        """Return the runs that ended, oldest first."""
        return await self._read(reading.get_attempts, job_id)

    async def cancel_job(self, job_id: str, reason: str, /) -> JobData:
        """End a live job as cancelled."""
        return await self._write(changes.cancel_job, job_id, reason)

    async def promote_job(self, job_id: str, /) -> JobData:
        """Make a delayed job wait."""
        return await self._write(changes.promote_job, job_id)

    async def rerun_job(self, job_id: str, payload: bytes | None = None, /) -> JobData:
        """Make a settled job wait again."""
        return await self._write(changes.rerun_job, job_id, payload)

    async def remove_job(self, job_id: str, /) -> None:
        """Delete a job that is not active."""
        return await self._write(changes.remove_job, job_id)

    async def update_data(self, job_id: str, payload: bytes, /) -> JobData:
        """Give a live job another payload."""
        return await self._write(editing.update_data, job_id, payload)

    async def change_delay(self, job_id: str, delay: timedelta, /) -> JobData:
        """Let a delayed job be due so long from now."""
        return await self._write(editing.change_delay, job_id, delay)

    async def change_priority(self, job_id: str, priority: int, /) -> JobData:
        """Give a job that is not active another priority."""
        return await self._write(editing.change_priority, job_id, priority)

    async def move_to_delayed(self, job_id: str, run_at: datetime, /) -> JobData:
        """Put a job off until a time."""
        return await self._write(editing.move_to_delayed, job_id, run_at)

    async def move_to_failed(self, job_id: str, reason: str, /) -> JobData:
        """End a live job as failed."""
        return await self._write(changes.move_to_failed, job_id, reason)

    async def discard(self, job_id: str, /) -> JobData:
        """Let a live job have no further attempt."""
        return await self._write(editing.discard, job_id)

    async def get_next_delayed_timestamp(self, queue_names: Sequence[str], /) -> datetime | None:
        """Return when the next delayed job is due."""
        return await self._read(reading.get_next_delayed_timestamp, queue_names)

    async def promote_delayed_jobs(self, queue_names: Sequence[str], /, *, limit: int = 1000) -> int:
        """Make delayed jobs wait whose time has come."""
        return await self._write_passing(changes.promote_delayed_jobs, queue_names, limit)

    async def expire_jobs(self, *, limit: int = 1000) -> int:
        """Cancel jobs that had not started in time."""
        return await self._write(expiring.expire_jobs, limit)

    async def remove_outdated_jobs(
        self, queue_names: Sequence[str], retention: Retention, /, *, limit: int = 1000
    ) -> int:
        """Remove settled jobs that are to be kept no longer."""
        return await self._write_passing(retaining.remove_outdated_jobs, queue_names, retention, limit)

    async def get_stalled_jobs(self, threshold: timedelta, /, *, limit: int = 1000) -> Sequence[JobData]:
        """Return active jobs whose lock is over."""
        return await self._read(locking.get_stalled_jobs, to_micros(self._clock.now()), threshold, limit)

    async def reclaim_stalled_jobs(self, max_stalled: int, /, *, limit: int = 1000) -> Sequence[JobData]:
        """Take jobs away from workers that died."""
        # Nearly always there are none, and to know that nobody has to wait for his turn to write.
        if not await self._read(locking.has_expired_sessions, to_micros(self._clock.now())):
            return ()
        return await self._write(locking.reclaim_stalled_jobs, max_stalled, limit)
