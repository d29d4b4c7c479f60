"""The jobs facet of the memory store: each verb is one call into the module that knows how."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from conveyor._builtin.memory import (
    adding,
    changes,
    deduplicating,
    editing,
    expiring,
    fetching,
    journal,
    locking,
    retaining,
    settling,
)
from conveyor.errors import CapabilityError
from conveyor.model.settlement import SettleReport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from conveyor._builtin.memory.tables import Tables
    from conveyor.model.job import Attempt, Ending, JobData, LogEntry, NewJob, ProgressReport
    from conveyor.model.locks import Lock
    from conveyor.model.queries import AddReceipt, Want
    from conveyor.model.retention import Retention
    from conveyor.model.settlement import Refusal, Settlement

__all__ = ["MemoryJobs"]

_NO_LONGER: Final = timedelta(0)


class MemoryJobs:
    """Adding, fetching, settling, and single jobs. See `conveyor.contracts.store.jobs`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def save_job(self, job: NewJob, /) -> AddReceipt:
        """Add one job."""
        return adding.add_jobs(self._tables, (job,))[0]

    async def save_jobs(self, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        """Add jobs and answer in the order of the input."""
        return adding.add_jobs(self._tables, jobs)

    async def save_jobs_in(self, connection: object, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        """Refuse: there is no transaction to join."""
        del connection, jobs
        raise CapabilityError("memory", "transactions", "connection=")

    async def get_job(self, queue_name: str, job_id: str, /) -> JobData | None:
        """Return the job where this queue has it."""
        record = self._tables.jobs.get(job_id)
        return record.snapshot() if record is not None and record.queue.name == queue_name else None

    async def find_job(self, job_id: str, /) -> JobData | None:
        """Return the job from whichever queue."""
        record = self._tables.jobs.get(job_id)
        return None if record is None else record.snapshot()

    async def find_by_deduplication_key(self, queue_name: str, job_name: str, key: str, /) -> JobData | None:
        """Return the live job that has the key."""
        record = deduplicating.find_holder(self._tables, queue_name, (job_name, key))
        return None if record is None else record.snapshot()

    async def find_jobs(self, job_ids: Sequence[str], /) -> Mapping[str, JobData]:
        """Return those of the jobs that exist, by id."""
        jobs = self._tables.jobs
        return {job_id: jobs[job_id].snapshot() for job_id in job_ids if job_id in jobs}

    async def find_endings(self, job_ids: Sequence[str], /) -> Mapping[str, Ending]:
        """Return how those of the jobs ended that left no record."""
        removed = self._tables.removed
        return {job_id: ending for job_id in job_ids if (ending := removed.find(job_id)) is not None}

    async def fetch_jobs(
        self, wants: Sequence[Want], worker_id: str, lock_duration: timedelta, /, *, fetch_number: int
    ) -> Sequence[JobData]:
        """Lock the next jobs for a worker session."""
        tables = self._tables
        session = fetching.fetching_session(tables, worker_id)
        return fetching.fetch_jobs(tables, session, wants, lock_duration, fetch_number=fetch_number, now=tables.now())

    async def get_suspect_queues(self, queue_names: Sequence[str], /) -> Sequence[str]:
        """Return the queues that have a suspect to fetch."""
        queues = self._tables.existing(queue_names)
        return tuple(queue.name for queue in queues if queue.open_lines(is_suspect=True))

    async def extend_locks(self, locks: Sequence[Lock], lock_duration: timedelta, /) -> Sequence[Lock]:
        """Keep locks; return those lost. All locks of a session end together, so it keeps the others, too."""
        return locking.extend_locks(self._tables, locks, lock_duration)

    async def release_locks(self, locks: Sequence[Lock], /) -> Sequence[Lock]:
        """Hand jobs back; return the locks that were lost."""
        return locking.release_locks(self._tables, locks)

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
        """Record how runs ended, and fetch the next jobs where some are wanted."""
        tables = self._tables
        now = tables.now()
        if not wants:
            return SettleReport(settling.settle_jobs(tables, settlements, now))
        # Looked up first: a missing session refuses the whole step, so nothing must have been settled by then.
        session = fetching.fetching_session(tables, worker_id)
        refused = settling.settle_jobs(tables, settlements, now)
        jobs = fetching.fetch_jobs(
            tables, session, wants, lock_duration or _NO_LONGER, fetch_number=fetch_number, now=now
        )
        return SettleReport(refused, jobs)

    async def set_progress(self, reports: Sequence[ProgressReport], /) -> Sequence[Refusal]:
        """Store the runs' progress; return what was refused."""
        return journal.set_progress(self._tables, reports)

    async def append_logs(self, entries: Sequence[LogEntry], /) -> Sequence[Refusal]:
        """Append lines; return what was refused."""
        return journal.append_logs(self._tables, entries)

    async def get_logs(self, job_id: str, /, *, start: int = 0, end: int = 1000) -> Sequence[LogEntry]:
        """Return lines, oldest first."""
        return journal.get_logs(self._tables, job_id, start, end)

    async def clear_logs(self, job_id: str, /) -> int:
        """Delete the job's lines; return how many there were."""
        return journal.clear_logs(self._tables, job_id)

    async def get_attempts(self, job_id: str, /) -> Sequence[Attempt]:
        """Return the runs of a job that ended, oldest first."""
        record = self._tables.jobs.get(job_id)
        return () if record is None else record.attempts(self._tables.workers)

    async def cancel_job(self, job_id: str, reason: str, /) -> JobData:
        """End a live job as cancelled."""
        return changes.cancel(self._tables, job_id, reason).snapshot()

    async def promote_job(self, job_id: str, /) -> JobData:
        """Make a delayed job wait."""
        return changes.promote_job(self._tables, job_id).snapshot()

    async def rerun_job(self, job_id: str, payload: bytes | None = None, /) -> JobData:
        """Make a settled job wait again."""
        return changes.rerun_job(self._tables, job_id, payload).snapshot()

    async def remove_job(self, job_id: str, /) -> None:
        """Delete a job that is not active."""
        changes.remove(self._tables, job_id)

    async def update_data(self, job_id: str, payload: bytes, /) -> JobData:
        """Give a live job another payload."""
        return editing.update_data(self._tables, job_id, payload).snapshot()

    async def change_delay(self, job_id: str, delay: timedelta, /) -> JobData:
        """Let a delayed job be due so long from now."""
        return editing.change_delay(self._tables, job_id, delay).snapshot()

    async def change_priority(self, job_id: str, priority: int, /) -> JobData:
        """Give a job that is not active another priority."""
        return editing.change_priority(self._tables, job_id, priority).snapshot()

    async def move_to_delayed(self, job_id: str, run_at: datetime, /) -> JobData:
        """Put a job off until a time."""
        return editing.move_to_delayed(self._tables, job_id, run_at).snapshot()

    async def move_to_failed(self, job_id: str, reason: str, /) -> JobData:
        """End a live job as failed."""
        return changes.fail(self._tables, job_id, reason)

    async def discard(self, job_id: str, /) -> JobData:
        """Let a live job have no further attempt."""
        return editing.discard(self._tables, job_id).snapshot()

    async def get_next_delayed_timestamp(self, queue_names: Sequence[str], /) -> datetime | None:
        """Return when the next delayed job of these queues is due."""
        return changes.next_due_at(self._tables.existing(queue_names))

    async def promote_delayed_jobs(self, queue_names: Sequence[str], /, *, limit: int = 1000) -> int:
        """Make delayed jobs wait whose time has come."""
        return changes.promote_due(self._tables, self._tables.existing(queue_names), limit)

    async def expire_jobs(self, *, limit: int = 1000) -> int:
        """Cancel jobs that had not started in time."""
        tables = self._tables
        return expiring.expire_jobs(tables, tables.queues.values(), tables.now(), limit)

    async def remove_outdated_jobs(
        self, queue_names: Sequence[str], retention: Retention, /, *, limit: int = 1000
    ) -> int:
        """Remove settled jobs that are to be kept no longer."""
        return retaining.remove_outdated_jobs(self._tables, self._tables.existing(queue_names), retention, limit)

    async def get_stalled_jobs(self, threshold: timedelta, /, *, limit: int = 1000) -> Sequence[JobData]:
        """Return active jobs whose lock has been over for longer than `threshold`."""
        return locking.get_stalled_jobs(self._tables, threshold, limit)

    async def reclaim_stalled_jobs(self, max_stalled: int, /, *, limit: int = 1000) -> Sequence[JobData]:
        """Take active jobs whose lock is over away from their workers."""
        return locking.reclaim_stalled_jobs(self._tables, max_stalled, limit)
