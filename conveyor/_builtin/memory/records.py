"""Records: what the memory store knows of one job and of one worker session."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

from attrs import Factory, define, evolve

from conveyor.model.job import Attempt, AttemptOutcome, ErrorInfo, JobData, LogEntry, Progress
from conveyor.model.retention import ATTEMPTS_KEPT, TRIM_EVERY
from conveyor.model.sessions import SessionInfo
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conveyor._builtin.memory.tables import QueueTable
    from conveyor.model.job import NewJob
    from conveyor.model.locks import LockToken
    from conveyor.model.options import JobOptions

__all__ = ["AttemptRow", "JobRecord", "SessionRecord", "due_at", "expiry", "later", "microseconds", "private"]

# The fields of `Attempt`, which is made when somebody asks for it: most histories are never read.
_UNKNOWN: Final = (None, None)
AttemptRow: TypeAlias = "tuple[int, LockToken, datetime, datetime, AttemptOutcome, ErrorInfo | None]"

# So many fetches of one session may be under way at once.
FETCHES_REMEMBERED: Final = 1000

_NO_WAIT: Final = timedelta(0)
_MICROSECOND: Final = timedelta(microseconds=1)
_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)
_END: Final = datetime.max.replace(tzinfo=UTC)


@define(eq=False, weakref_slot=False)
class JobRecord:
    """A job as it stands; it changes, so only snapshots of it are handed out.

    Attributes:
        added_payload: what it was added with, also where a rerun replaced the payload.
        available_at: `run_at` in microseconds; with `sequence` its place among the waiting.
        ticket: how often it left a line; see `lines`.
        session: who holds it, while it is active.
        is_discarded: whether it may not be tried again.
        key: its name and the deduplication key that it took when it was added.
    """

    id: str
    queue: QueueTable
    name: str
    payload: bytes
    added_payload: bytes
    options: JobOptions
    priority: int
    created_at: datetime
    run_at: datetime
    available_at: int
    sequence: int
    state: JobState = JobState.WAITING
    ticket: int = 0
    session: SessionRecord | None = None
    attempts_made: int = 0
    stalled_count: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    token: LockToken | None = None
    progress: Progress | None = None
    result: bytes | None = None
    error: ErrorInfo | None = None
    expires_at: datetime | None = None
    is_discarded: bool = False
    history: list[AttemptRow] = Factory(list)
    logs: list[LogEntry] | None = None
    key: tuple[str, str] | None = None

    def snapshot(self) -> JobData:
        """Return the job as a value of its own."""
        options = self.options
        return JobData(
            self.id,
            self.queue.name,
            self.name,
            self.payload,
            private(options) if options.metadata else options,
            self.state,
            self.priority,
            self.attempts_made,
            self.stalled_count,
            self.created_at,
            self.run_at,
            self.started_at,
            self.finished_at,
            self.token,
            self.progress,
            self.result,
            self.error,
            self.expires_at,
        )

    def is_held_under(self, token: LockToken) -> bool:
        """Return whether the run with this token may still write to the job."""
        # The same object, nearly always: comparing two equal tokens takes far longer.
        return self.session is not None and (self.token is token or self.token == token)

    def end_run(self, now: datetime, outcome: AttemptOutcome, error: ErrorInfo | None) -> None:
        """Write the run that goes on into the history, as ended now."""
        if self.token is not None:
            started_at = self.started_at or now
            self.history.append((self.attempts_made + 1, self.token, started_at, now, outcome, error))
            if len(self.history) >= ATTEMPTS_KEPT + TRIM_EVERY:
                del self.history[:TRIM_EVERY]

    def attempts(self, workers: Mapping[str, tuple[str, int]]) -> tuple[Attempt, ...]:
        """Return the runs that ended, oldest first; the host and the process of the workers are by their ids."""
        return tuple(Attempt(*row, *workers.get(row[1].session_id, _UNKNOWN)) for row in self.history)


@define(eq=False)
class SessionRecord:
    """A worker session; the lock of all that it holds ends at `expires_at`.

    Attributes:
        held: its active jobs by id, in the order in which they were fetched.
    """

    info: SessionInfo
    expires_at: datetime
    held: dict[str, JobRecord] = Factory(dict)
    _fetches: set[int] = Factory(set)
    _last_fetch: int = 0

    def begin_fetch(self, fetch_number: int) -> bool:
        """Return whether this number is a new fetch, and remember it."""
        # Two calls may overtake each other, so a lower number can be new; one far below the last can't.
        if fetch_number in self._fetches or fetch_number <= self._last_fetch - FETCHES_REMEMBERED:
            return False
        self._fetches.add(fetch_number)
        self._last_fetch = max(self._last_fetch, fetch_number)
        if len(self._fetches) > 2 * FETCHES_REMEMBERED:
            oldest = self._last_fetch - FETCHES_REMEMBERED
            self._fetches = {number for number in self._fetches if number > oldest}
        return True

    def extend(self, until: datetime) -> None:
        """Let the lock end no sooner than this."""
        self.expires_at = max(self.expires_at, until)

    def snapshot(self) -> SessionInfo:
        """Return the session as a value, with its times."""
        return evolve(self.info, expires_at=self.expires_at, running_count=len(self.held))


def microseconds(at: datetime) -> int:
    """Return a time as a number that can be turned round: microseconds since the year 1."""
    return (at - _BEGINNING) // _MICROSECOND


def later(now: datetime, delay: timedelta) -> datetime:
    """Return the time after a delay; one that no calendar reaches is the end of the calendar."""
    try:
        return now + delay
    except OverflowError:
        return _END


def due_at(job: NewJob, now: datetime) -> datetime:
    """Return when a new job is due: `now` itself, the same object, where it need not wait."""
    if job.delay is not None and job.delay > _NO_WAIT:
        return later(now, job.delay)
    if job.run_at is not None and job.run_at > now:
        return job.run_at.astimezone(UTC)
    return now


def expiry(job: NewJob, now: datetime) -> datetime | None:
    """Return when a new job expires; None: never."""
    expires = job.expires
    if expires is None:
        return None
    return later(now, expires) if isinstance(expires, timedelta) else expires.astimezone(UTC)


def private(options: JobOptions) -> JobOptions:
    """Return options whose metadata nobody else can change."""
    return evolve(options) if options.metadata else options
