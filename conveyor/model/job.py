"""A job as stores, buffers and strategies see it, and the values that belong to it."""

from __future__ import annotations

import traceback
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from attrs import define, frozen

from conveyor.errors import ProcessHandlerError
from conveyor.model.deduplication import Deduplication
from conveyor.model.locks import Lock, LockToken
from conveyor.model.options import JobOptions
from conveyor.model.states import JobState
from conveyor.model.text import clean_text

__all__ = [
    "Attempt",
    "AttemptOutcome",
    "Ending",
    "ErrorInfo",
    "JobData",
    "LogEntry",
    "NewJob",
    "Progress",
    "ProgressReport",
    "as_added",
    "error_info",
    "expired",
    "log_line",
    "moved_to_failed",
]

LONGEST_MESSAGE: Final = 2_000
LONGEST_TRACEBACK: Final = 16_000
LONGEST_LOG_LINE: Final = 10_000


@frozen
class ErrorInfo:
    """A failure as text: the exception's type, its message, and its traceback.

    By its fingerprint, which one that a job failed by has, it is grouped with others; see `model.error_groups`.
    """

    type: str
    message: str
    traceback: str = ""
    fingerprint: str = ""

    def __str__(self) -> str:
        """Return it in one line, as a log would."""
        return f"{self.type}: {self.message}" if self.message else self.type


def expired(expires_at: datetime) -> ErrorInfo:
    """Return why a job was cancelled that had not started in time."""
    return ErrorInfo("Expired", f"it had not started by {expires_at.isoformat(timespec='seconds')}")


def moved_to_failed(reason: str) -> ErrorInfo:
    """Return why a job failed that somebody ended by hand."""
    return ErrorInfo("MovedToFailed", reason)


def error_info(error: BaseException) -> ErrorInfo:
    """Turn an exception into text; long messages and tracebacks are cut in the middle."""
    if isinstance(error, ProcessHandlerError):
        return ErrorInfo(error.type_name, error.message, error.traceback)
    return ErrorInfo(
        type=clean_text(type(error).__qualname__),
        message=_shorten(clean_text(error), LONGEST_MESSAGE),
        traceback=_shorten(_traceback(error), LONGEST_TRACEBACK),
    )


def _traceback(error: BaseException) -> str:
    try:
        return clean_text("".join(traceback.format_exception(error)))
    except Exception:  # noqa: BLE001 - an exception may break its own formatting; where it was raised still helps
        return clean_text("".join(traceback.format_tb(error.__traceback__)))


def _shorten(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]}\n… {len(text) - longest} characters left out …\n{text[-half:]}"


@frozen
class Progress:
    """How far a job is: `done` of `total` (None: unknown), with an optional message."""

    done: float
    total: float | None = None
    message: str | None = None


@define
class NewJob:
    """A job about to be added. Its id is made by the caller, so that adding it again is harmless.

    `payload` is JSON. At most one of `delay` (counted by the store's clock) and `run_at` is given. `expires` is
    until when it must have started: a time, or a duration counted by the store's clock. `deduplication` has a key.
    Treat it as frozen: it is not, because it is made once per job.
    """

    id: str
    queue_name: str
    name: str
    payload: bytes
    options: JobOptions
    delay: timedelta | None = None
    run_at: datetime | None = None
    expires: timedelta | datetime | None = None
    deduplication: Deduplication | None = None


@define
class JobData:
    """A job as the store knows it. Treat it as frozen: it is not, because it is made once per job.

    Attributes:
        payload: the handler's arguments as JSON; opaque to stores.
        priority: what holds now; `options` has what was asked when it was added.
        attempts_made: runs that ended and counted; the one going on is not in it.
        stalled_count: how often a worker died with it.
        run_at: when it became, or becomes, due.
        token: the lock of the run going on, or of the last one.
        result: what the handler returned, as JSON.
        error: why the last attempt failed, or why the job was cancelled.
        expires_at: from when on no run of it begins; None: it never expires.
    """

    id: str
    queue_name: str
    name: str
    payload: bytes
    options: JobOptions
    state: JobState
    priority: int
    attempts_made: int
    stalled_count: int
    created_at: datetime
    run_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    token: LockToken | None = None
    progress: Progress | None = None
    result: bytes | None = None
    error: ErrorInfo | None = None
    expires_at: datetime | None = None


def as_added(job: NewJob, added_at: datetime) -> JobData:
    """Return what is known of a job that was just added, without asking the store."""
    due_at = job.run_at or (added_at + job.delay if job.delay else added_at)
    return JobData(
        id=job.id,
        queue_name=job.queue_name,
        name=job.name,
        payload=job.payload,
        options=job.options,
        state=JobState.DELAYED if due_at > added_at else JobState.WAITING,
        priority=job.options.priority,
        attempts_made=0,
        stalled_count=0,
        created_at=added_at,
        run_at=due_at,
    )


@frozen
class Ending:
    """How a job ended that kept no record of itself."""

    state: JobState
    finished_at: datetime
    result: bytes | None = None
    error: ErrorInfo | None = None


class AttemptOutcome(StrEnum):
    """How one run ended, as history tells it."""

    COMPLETED = "completed"
    FAILED = "failed"
    RETRIED = "retried"
    SNOOZED = "snoozed"
    WAITED = "waited"
    CANCELLED = "cancelled"
    STALLED = "stalled"


@frozen
class Attempt:
    """One run that ended. `number` counts from 1 and repeats after a snooze, a wait for children, or a stall.

    Attributes:
        hostname: where its worker ran; None: the store does not know (any more).
        pid: of its worker; None: the same.
        logs: the lines that were kept of it, oldest first; stores leave them out, ``job.attempts()`` has them.
    """

    number: int
    token: LockToken
    started_at: datetime
    ended_at: datetime
    outcome: AttemptOutcome
    error: ErrorInfo | None = None
    hostname: str | None = None
    pid: int | None = None
    logs: tuple[LogEntry, ...] = ()

    @property
    def worker_id(self) -> str:
        """The id of the worker that ran it, as ``app.workers()`` has it while that is open."""
        return self.token.session_id


@frozen
class LogEntry:
    """One line that a run, or an operator, wrote about a job.

    To write one, `lock` is that of the run; with none, an operator writes it. As it is kept, `lock` and `attempt` are
    of the run that went on, whoever wrote it; None: none did.
    """

    job_id: str
    message: str
    at: datetime | None = None
    lock: Lock | None = None
    attempt: int | None = None


def log_line(message: object) -> str:
    """Return what is kept of a message as a line: valid text, a long one cut in the middle."""
    return _shorten(clean_text(message), LONGEST_LOG_LINE)


@frozen
class ProgressReport:
    """What a run tells of its progress, under its lock."""

    lock: Lock
    progress: Progress
