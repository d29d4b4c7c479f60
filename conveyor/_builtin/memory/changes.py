"""Single jobs of the memory store, changed by core or an operator: ended, promoted, rerun, removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor._builtin.memory.retaining import keep_for
from conveyor._builtin.memory.telling import ended, remove_jobs, reopen, tell_parents
from conveyor.model.error_groups import fingerprinted
from conveyor.model.events import NotificationKind
from conveyor.model.job import AttemptOutcome, ErrorInfo, moved_to_failed
from conveyor.model.retention import kept_for
from conveyor.model.states import Command, JobState, transition

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from conveyor._builtin.memory.records import JobRecord
    from conveyor._builtin.memory.tables import QueueTable, Tables
    from conveyor.model.job import JobData

__all__ = [
    "cancel",
    "change",
    "fail",
    "next_due_at",
    "promote_due",
    "promote_first",
    "promote_job",
    "remove",
    "rerun",
    "rerun_job",
]


def cancel(tables: Tables, job_id: str, reason: str) -> JobRecord:
    """End a live job as cancelled; an active one loses its lock."""
    record = tables.job(job_id)
    transition(record.id, record.state, Command.CANCEL)
    _end(tables, record, JobState.CANCELLED, AttemptOutcome.CANCELLED, ErrorInfo("Cancelled", reason))
    return record


def fail(tables: Tables, job_id: str, reason: str) -> JobData:
    """End a live job as failed, and return it; it goes, or is kept, as its options say."""
    record = tables.job(job_id)
    transition(record.id, record.state, Command.MOVE_TO_FAILED)
    error = fingerprinted(moved_to_failed(reason), record.queue.name, record.name)
    _end(tables, record, JobState.FAILED, AttemptOutcome.FAILED, error)
    job = record.snapshot()
    removal = record.options.remove_on_fail
    if removal is True:
        tables.removed.remember(record, AttemptOutcome.FAILED)
        tables.remove(record)
    elif (kept := kept_for(removal)) is not None:
        keep_for(record, kept, tables.now())
    return job


def _end(tables: Tables, record: JobRecord, state: JobState, outcome: AttemptOutcome, error: ErrorInfo) -> None:
    now = tables.now()
    was_active = record.state is JobState.ACTIVE
    record.queue.leave(record)
    if was_active:
        record.end_run(now, outcome, error)
    record.error = error
    record.finished_at = now
    record.queue.enter(record, state)
    if was_active:
        tables.notifier.tell(NotificationKind.REVOKED, (record.queue.name,), record.id)
    tables.notifier.tell(NotificationKind.FINISHED, (record.queue.name,))
    tell_parents(tables, [ended(record)], now)


def promote_job(tables: Tables, job_id: str) -> JobRecord:
    """Make a delayed job wait, available now."""
    record = tables.job(job_id)
    transition(record.id, record.state, Command.PROMOTE)
    record.queue.leave(record)
    record.queue.wait_from(record, tables.now())
    tables.notifier.tell(NotificationKind.ADDED, (record.queue.name,))
    return record


def promote_first(tables: Tables, queue: QueueTable, limit: int) -> int:
    """Make the delayed jobs that are due soonest wait, available now; return how many."""
    now = tables.now()
    promoted = 0
    while promoted < limit and (record := queue.delayed.take()) is not None:
        del queue.by_state[JobState.DELAYED][record.id]
        queue.wait_from(record, now)
        promoted += 1
    if promoted:
        tables.notifier.tell(NotificationKind.ADDED, (queue.name,))
    return promoted


def promote_due(tables: Tables, queues: Sequence[QueueTable], limit: int) -> int:
    """Make delayed jobs wait whose time has come, available since then; return how many."""
    now = tables.now()
    promoted = 0
    for queue in queues:
        before = promoted
        while promoted < limit and (record := _take_due(queue, now)) is not None:
            del queue.by_state[JobState.DELAYED][record.id]
            queue.enter(record, JobState.WAITING)
            promoted += 1
        if promoted > before:
            tables.notifier.tell(NotificationKind.ADDED, (queue.name,))
    return promoted


def next_due_at(queues: Sequence[QueueTable]) -> datetime | None:
    """Return when the first delayed job of these queues is due."""
    heads = (queue.delayed.head() for queue in queues)
    return min((head[4].run_at for head in heads if head is not None), default=None)


def rerun_job(tables: Tables, job_id: str, payload: bytes | None) -> JobRecord:
    """Make a settled job wait again, as if added now, with another payload where one is given."""
    record = tables.job(job_id)
    transition(record.id, record.state, Command.RERUN)
    if payload is not None:
        record.payload = payload
    rerun(tables, [record])
    return record


def rerun(tables: Tables, records: Sequence[JobRecord]) -> None:
    """Make settled jobs wait again, for open children first, available now; attempts and logs stay."""
    now = tables.now()
    for record in records:
        record.queue.leave(record)
        record.sequence = tables.next_sequence()
        record.attempts_made = record.stalled_count = 0
        record.result = record.error = record.progress = None
        record.started_at = record.finished_at = record.expires_at = None
        record.is_discarded = False
        record.queue.wait_from(record, now, reopen(tables, record))
    tables.notifier.tell(NotificationKind.ADDED, {record.queue.name for record in records})


def remove(tables: Tables, job_id: str) -> None:
    """Delete a job that is not active."""
    record = tables.job(job_id)
    transition(record.id, record.state, Command.REMOVE)
    remove_jobs(tables, [record])


def change(tables: Tables, command: Command, job_id: str, reason: str) -> None:
    """Do with one job what an operator asks for."""
    if command is Command.CANCEL:
        cancel(tables, job_id, reason)
    elif command is Command.PROMOTE:
        promote_job(tables, job_id)
    elif command is Command.RERUN:
        rerun_job(tables, job_id, None)
    else:
        remove(tables, job_id)


def _take_due(queue: QueueTable, now: datetime) -> JobRecord | None:
    head = queue.delayed.head()
    return queue.delayed.take() if head is not None and head[4].run_at <= now else None
