"""Rows to values of the model and back; times as whole microseconds since 1970."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from conveyor.codec import decode_error, decode_options, decode_progress, encode_error
from conveyor.model.error_groups import ErrorGroup
from conveyor.model.job import Attempt, AttemptOutcome, Ending, ErrorInfo, JobData, LogEntry
from conveyor.model.locks import Lock, LockToken
from conveyor.model.sessions import SessionInfo
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.model.job import NewJob

__all__ = [
    "LAST_MICROS",
    "JobRow",
    "attempt_from_row",
    "due_micros",
    "ending_from_row",
    "error_column",
    "error_group_from_row",
    "expiry_micros",
    "from_micros",
    "job_from_row",
    "locked_jobs",
    "log_from_row",
    "micros_after",
    "session_from_row",
    "span_micros",
    "to_micros",
]

# What sqlite3 hands out: the statement decides the types of the columns.
JobRow: TypeAlias = tuple[Any, ...]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STATES: Final = {str(state): state for state in JobState}


def span_micros(span: timedelta) -> int:
    """Return a duration in whole microseconds, exactly."""
    return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds


def to_micros(moment: datetime) -> int:
    """Return an aware time as microseconds since 1970, exactly."""
    return span_micros(moment - _EPOCH)


LAST_MICROS: Final = to_micros(datetime.max.replace(tzinfo=UTC))


def from_micros(micros: int) -> datetime:
    """Return the time that `to_micros` was given, in UTC."""
    return _EPOCH + timedelta(0, 0, micros)


def due_micros(now: int, job: NewJob) -> int:
    """Return when a new job is due: `now` where it need not wait."""
    if job.delay is not None:
        return max(now, micros_after(now, job.delay))
    return now if job.run_at is None else max(now, to_micros(job.run_at))


def expiry_micros(now: int, job: NewJob) -> int | None:
    """Return when a new job expires; None: never."""
    expires = job.expires
    if expires is None:
        return None
    return micros_after(now, expires) if isinstance(expires, timedelta) else to_micros(expires)


def micros_after(now: int, span: timedelta) -> int:
    """Return `now` plus a duration, but never later than a datetime can say."""
    return min(now + span_micros(span), LAST_MICROS)


def error_column(error: ErrorInfo | None) -> bytes | None:
    """Return an error as it is stored."""
    return None if error is None else encode_error(error)


def job_from_row(row: JobRow) -> JobData:
    """Return the job of a row whose first columns are those of the view conveyor_job_records."""
    created_at = from_micros(row[9])
    return JobData(
        row[0],
        row[1],
        row[2],
        row[3],
        decode_options(row[4]),
        _STATES[row[5]],
        row[6],
        row[7],
        row[8],
        created_at,
        created_at if row[10] == row[9] else from_micros(row[10]),
        None if row[11] is None else from_micros(row[11]),
        None if row[12] is None else from_micros(row[12]),
        None if row[13] is None else LockToken(row[13], row[14]),
        None if row[15] is None else decode_progress(row[15]),
        row[16],
        None if row[17] is None else decode_error(row[17]),
        None if row[18] is None else from_micros(row[18]),
    )


def locked_jobs(rows: Sequence[JobRow], token: LockToken) -> list[JobData]:
    """Return the jobs of rows of ``fetch_jobs_locked``; what neighbours have in common is made once."""
    jobs: list[JobData] = []
    # One fetch is one transaction: it locked all of them at one time.
    started_at = from_micros(rows[0][10]) if rows else None
    created_micros: int | None = None
    created_at = _EPOCH
    for row in rows:
        if row[8] != created_micros:
            created_micros, created_at = row[8], from_micros(row[8])
        jobs.append(
            JobData(
                row[0],
                row[1],
                row[2],
                row[3],
                decode_options(row[4]),
                JobState.ACTIVE,
                row[5],
                row[6],
                row[7],
                created_at,
                created_at if row[9] == created_micros else from_micros(row[9]),
                started_at,
                None,
                token,
                None if row[11] is None else decode_progress(row[11]),
                None,
                None if row[12] is None else decode_error(row[12]),
                None if row[13] is None else from_micros(row[13]),
            )
        )
    return jobs


def attempt_from_row(row: JobRow) -> Attempt:
    """Return an attempt from number, session_id, fetch_number, started_at, ended_at, outcome, error, hostname, pid."""
    return Attempt(
        number=row[0],
        token=LockToken(row[1], row[2]),
        started_at=from_micros(row[3]),
        ended_at=from_micros(row[4]),
        outcome=AttemptOutcome(row[5]),
        error=None if row[6] is None else decode_error(row[6]),
        hostname=row[7],
        pid=row[8],
    )


def ending_from_row(row: Sequence[Any]) -> Ending:
    """Return how a job ended from state, finished_at, result, error."""
    state, finished_at, result, error = row
    return Ending(_STATES[state], from_micros(finished_at), result, None if error is None else decode_error(error))


def error_group_from_row(row: JobRow) -> ErrorGroup:
    """Return a group from the columns of list_error_groups."""
    id, queue_name, name, text, count, first_at, last_at, example_id = row
    error = decode_error(text)
    return ErrorGroup(
        id,
        queue_name,
        name,
        error.type,
        error.message,
        count,
        from_micros(first_at),
        from_micros(last_at),
        example_id,
    )


def log_from_row(row: JobRow) -> LogEntry:
    """Return a line from job_id, message, at, attempt, session_id, fetch_number."""
    lock = None if row[4] is None else Lock(row[0], LockToken(row[4], row[5]))
    return LogEntry(job_id=row[0], message=row[1], at=from_micros(row[2]), lock=lock, attempt=row[3])


def session_from_row(row: JobRow, queue_names: tuple[str, ...]) -> SessionInfo:
    """Return a session from the columns of list_sessions."""
    return SessionInfo(
        id=row[0],
        hostname=row[1],
        pid=row[2],
        backend=row[3],
        queue_names=queue_names,
        opened_at=from_micros(row[4]),
        expires_at=from_micros(row[5]),
        concurrency=row[7],
        version=row[8],
        lock_duration=None if row[9] is None else timedelta(microseconds=row[9]),
        running_count=row[10],
    )
