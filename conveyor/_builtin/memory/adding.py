"""Adding jobs to the memory store, and adding them again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conveyor._builtin.memory.deduplicating import meet_key, take_key
from conveyor._builtin.memory.limiting import is_admitted
from conveyor._builtin.memory.records import JobRecord, due_at, expiry, microseconds, private
from conveyor.model.events import NotificationKind
from conveyor.model.queries import Added, AddReceipt
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from conveyor._builtin.memory.tables import Tables
    from conveyor.model.job import NewJob

__all__ = ["add_jobs", "is_same_add"]

_HINTS: Final = {JobState.WAITING: NotificationKind.ADDED, JobState.DELAYED: NotificationKind.DELAYED}


def add_jobs(tables: Tables, jobs: Sequence[NewJob]) -> list[AddReceipt]:
    """Add each job that is not there yet, and answer in the order of the input."""
    now = tables.now()
    now_number = microseconds(now)
    added: dict[JobState, dict[str, None]] = {JobState.WAITING: {}, JobState.DELAYED: {}}
    receipts: list[AddReceipt] = []
    for job in jobs:
        known = tables.jobs.get(job.id)
        if known is not None:
            receipts.append(AddReceipt(job.id, Added.ADDED if is_same_add(known, job) else Added.DUPLICATE))
            continue
        asked = job.deduplication
        if asked is not None and (met := meet_key(tables, job, asked, now)) is not None:
            receipts.append(met)
            continue
        run_at = due_at(job, now)
        state = JobState.WAITING if run_at is now else JobState.DELAYED
        if job.options.group is not None and not is_admitted(tables, job, state):
            receipts.append(AddReceipt(job.id, Added.GROUP_FULL))
            continue
        at_number = now_number if run_at is now else microseconds(run_at)
        record = _new_record(tables, job, now, run_at, at_number)
        if job.expires is not None:
            record.expires_at = expiry(job, now)
        if asked is not None:
            take_key(record.queue, record, asked, now)
        record.queue.add(record, state)
        added[state][job.queue_name] = None
        receipts.append(AddReceipt(job.id))
    for state, queue_names in added.items():
        tables.notifier.tell(_HINTS[state], queue_names)
    return receipts


def is_same_add(record: JobRecord, job: NewJob) -> bool:
    """Return whether a job that is there is the one to be added."""
    return record.added_payload == job.payload and record.name == job.name and record.queue.name == job.queue_name


def _new_record(tables: Tables, job: NewJob, now: datetime, run_at: datetime, available_at: int) -> JobRecord:
    record = tables.jobs[job.id] = JobRecord(
        job.id,
        tables.queue(job.queue_name),
        job.name,
        job.payload,
        job.payload,
        private(job.options),
        job.options.priority,
        now,
        run_at,
        available_at,
        tables.next_sequence(),
    )
    return record
