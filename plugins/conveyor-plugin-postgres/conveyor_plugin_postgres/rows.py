"""Rows to values of the model and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from conveyor.codec import decode_error, decode_options, decode_progress, encode_error
from conveyor.model.error_groups import ErrorGroup
from conveyor.model.job import Attempt, AttemptOutcome, Ending, ErrorInfo, JobData, LogEntry
from conveyor.model.locks import Lock, LockToken
from conveyor.model.sessions import SessionInfo
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from conveyor_plugin_postgres.part import Row

__all__ = [
    "attempt_from_row",
    "ending_from_row",
    "error_column",
    "error_group_from_row",
    "interval",
    "job_from_row",
    "jobs_from_rows",
    "log_from_row",
    "moment_after",
    "session_from_row",
]

_STATES: Final = {str(state): state for state in JobState}
_LAST: Final = datetime.max.replace(tzinfo=UTC)
# More than there is between any time of day and the last that a datetime can say; the server caps the sum.
_LONGEST: Final = timedelta(days=3_000_000)


def interval(span: timedelta | None) -> timedelta | None:
    """Return a duration as the server can add it."""
    return span if span is None or span < _LONGEST else _LONGEST


def moment_after(now: datetime, span: timedelta) -> datetime:
    """Return `now` plus a duration, but never later than a datetime can say."""
    return _LAST if span >= _LAST - now else now + span


def error_column(error: ErrorInfo | None) -> bytes | None:
    """Return an error as it is stored."""
    return None if error is None else encode_error(error)


def job_from_row(row: Row) -> JobData:
    """Return the job of a row whose first columns are those of the view job_records."""
    return jobs_from_rows((row,))[0]


def jobs_from_rows(rows: Iterable[Row]) -> list[JobData]:
    """Return the jobs of such rows; what neighbours have in common is made once."""
    jobs: list[JobData] = []
    token: LockToken | None = None
    for row in rows:
        (
            job_id,
            queue_name,
            name,
            payload,
            options,
            state,
            priority,
            attempts_made,
            stalled_count,
            created_at,
            run_at,
            started_at,
            finished_at,
            session_id,
            fetch_number,
            progress,
            result,
            error,
            expires_at,
            *_,
        ) = row
        if session_id is None:
            token = None
        elif token is None or token.fetch_number != fetch_number or token.session_id != session_id:
            token = LockToken(session_id, fetch_number)
        jobs.append(
            JobData(
                job_id,
                queue_name,
                name,
                payload,
                decode_options(options),
                _STATES[state],
                priority,
                attempts_made,
                stalled_count,
                created_at,
                run_at,
                started_at,
                finished_at,
                token,
                None if progress is None else decode_progress(progress),
                result,
                None if error is None else decode_error(error),
                expires_at,
            )
        )
    return jobs


def attempt_from_row(row: Row) -> Attempt:
    """Return an attempt from number, session_id, fetch_number, started_at, ended_at, outcome, error, hostname, pid."""
    number, session_id, fetch_number, started_at, ended_at, outcome, error, hostname, pid = row
    return Attempt(
        number=number,
        token=LockToken(session_id, fetch_number),
        started_at=started_at,
        ended_at=ended_at,
        outcome=AttemptOutcome(outcome),
        error=None if error is None else decode_error(error),
        hostname=hostname,
        pid=pid,
    )


def ending_from_row(row: Row) -> tuple[str, Ending]:
    """Return whose ending it is, and the ending, from job_id, state, finished_at, result, error."""
    job_id, state, finished_at, result, error = row
    return job_id, Ending(_STATES[state], finished_at, result, None if error is None else decode_error(error))


def error_group_from_row(row: Row) -> ErrorGroup:
    """Return a group from the columns of list_error_groups."""
    id, queue_name, name, text, count, first_at, last_at, example_id = row
    error = decode_error(text)
    return ErrorGroup(id, queue_name, name, error.type, error.message, count, first_at, last_at, example_id)


def log_from_row(row: Row) -> LogEntry:
    """Return a line from job_id, message, at, attempt, session_id, fetch_number."""
    job_id, message, at, attempt, session_id, fetch_number = row
    lock = None if session_id is None else Lock(job_id, LockToken(session_id, fetch_number))
    return LogEntry(job_id=job_id, message=message, at=at, lock=lock, attempt=attempt)


def session_from_row(row: Row) -> SessionInfo:
    """Return a session from the columns of list_sessions."""
    session_id, hostname, pid, backend, queue_names, opened_at, expires_at, *about = row
    names: Sequence[str] = queue_names
    return SessionInfo(session_id, hostname, pid, backend, tuple(names), opened_at, expires_at, *about)
