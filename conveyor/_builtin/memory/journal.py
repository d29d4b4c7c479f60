"""What runs write while they go on, in the memory store: progress and log lines, under their locks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conveyor._builtin.memory.settling import refusal
from conveyor.model.job import LogEntry
from conveyor.model.locks import Lock, LockToken
from conveyor.model.retention import LOG_LINES_KEPT, TRIM_EVERY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from conveyor._builtin.memory.records import JobRecord
    from conveyor._builtin.memory.tables import Tables
    from conveyor.model.job import ProgressReport
    from conveyor.model.settlement import Refusal

__all__ = ["append_logs", "clear_logs", "get_logs", "set_progress"]

_NO_TOKEN: Final = LockToken("", 0)


def set_progress(tables: Tables, reports: Sequence[ProgressReport]) -> list[Refusal]:
    """Store progress where the lock holds."""
    refused: list[Refusal] = []
    for report in reports:
        job_id, token = report.lock
        record = tables.jobs.get(job_id)
        if record is not None and record.is_held_under(token):
            record.progress = report.progress
            if record.queue.log is not None:
                record.queue.log.reported(record)
        else:
            refused.append(refusal(record, job_id, token))
    return refused


def append_logs(tables: Tables, entries: Sequence[LogEntry]) -> list[Refusal]:
    """Append the lines whose lock holds, and those without a lock whose job exists."""
    now = tables.now()
    refused: list[Refusal] = []
    for entry in entries:
        record = tables.jobs.get(entry.job_id)
        if record is not None and _may_write(record, entry):
            _append(record, entry, now)
        else:
            token = _NO_TOKEN if entry.lock is None else entry.lock.token
            refused.append(refusal(record, entry.job_id, token))
    return refused


def get_logs(tables: Tables, job_id: str, start: int, end: int) -> tuple[LogEntry, ...]:
    """Return lines of a job, oldest first."""
    record = tables.jobs.get(job_id)
    if record is None or record.logs is None:
        return ()
    return tuple(record.logs[max(start, 0) : max(end, 0)])


def clear_logs(tables: Tables, job_id: str) -> int:
    """Delete a job's lines; return how many there were."""
    record = tables.jobs.get(job_id)
    if record is None or record.logs is None:
        return 0
    lines, record.logs = record.logs, None
    return len(lines)


def _may_write(record: JobRecord, entry: LogEntry) -> bool:
    lock = entry.lock
    return lock is None or (lock.job_id == record.id and record.is_held_under(lock.token))


def _append(record: JobRecord, entry: LogEntry, now: datetime) -> None:
    # A line without a lock may be written while nothing runs; then it belongs to no attempt.
    attempt = None if record.session is None else record.attempts_made + 1
    lock = None if attempt is None or record.token is None else Lock(record.id, record.token)
    if record.logs is None:
        record.logs = []
    record.logs.append(LogEntry(record.id, entry.message, now, lock, attempt))
    if len(record.logs) >= LOG_LINES_KEPT + TRIM_EVERY:
        del record.logs[:TRIM_EVERY]
