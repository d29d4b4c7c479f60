"""The reference's jobs and sessions: plain lists, and what can be seen of them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from attrs import Factory, define

from conveyor.model.job import AttemptOutcome
from conveyor.model.locks import LockToken
from conveyor.model.queries import ALL_NAMES, Want
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from conveyor.model.job import JobData, NewJob
    from conveyor.model.locks import Lock
    from conveyor.model.queries import AddReceipt

__all__ = ["JobView", "ReferenceJob", "ReferenceSession", "ReferenceTables", "view_of"]

# What every store must agree on of a job, apart from its history: the fields that the contract fixes in its state.
JobView: TypeAlias = tuple[object, ...]


@define
class ReferenceJob:
    """A job, and all that happened to it. `place` is its number in the order of adding."""

    new: NewJob
    place: int
    created_at: datetime
    run_at: datetime
    payload: bytes
    priority: int
    state: JobState = JobState.WAITING
    expires_at: datetime | None = None
    attempts_made: int = 0
    stalled_count: int = 0
    token: LockToken | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    result: bytes | None = None
    error: str | None = None
    is_discarded: bool = False
    flow_id: str | None = None
    lines: int = 0
    attempts: list[tuple[int, LockToken, datetime | None, datetime, AttemptOutcome]] = Factory(list)

    def order(self, is_lifo_wanted: bool) -> tuple[int, bool, float, int]:
        """Return its place in the line: priority, then lifo jobs before the others, then time, then sequence."""
        is_lifo = self.new.options.lifo
        sign = -1 if is_lifo or is_lifo_wanted else 1
        return (self.priority, not is_lifo, sign * self.run_at.timestamp(), sign * self.place)

    def is_expired(self, now: datetime) -> bool:
        """Whether no run of it may begin any more."""
        return self.expires_at is not None and self.expires_at <= now


@define
class ReferenceSession:
    """A worker session: when its lock ends, and the fetch numbers it has used."""

    expires_at: datetime
    fetches: list[int] = Factory(list)


class ReferenceTables:
    """What there is. `written` is what runs wrote in transactions that were committed.

    `keys` and `answers` are those of deduplication: who took a key last, and until when at most; what an add was
    answered that left no job, and until when that is known.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now
        self.jobs: list[ReferenceJob] = []
        self.sessions: dict[str, ReferenceSession] = {}
        self.paused: dict[str, set[str]] = {}
        self.removed: list[tuple[str, LockToken, AttemptOutcome]] = []
        self.written: list[str] = []
        self.keys: dict[tuple[str, str, str | None], tuple[str, datetime | None]] = {}
        self.answers: dict[bytes, tuple[AddReceipt, datetime]] = {}
        self._places: int = 0

    def take_place(self) -> int:
        """Return the next place in the order of adding."""
        self._places += 1
        return self._places

    def forget(self, jobs: Sequence[ReferenceJob]) -> None:
        """Leave these jobs out from now on, and the keys that they took for as long as they exist."""
        gone = {job.new.id for job in jobs}
        self.keys = {key: hold for key, hold in self.keys.items() if hold[0] not in gone or hold[1] is not None}
        self.jobs = [job for job in self.jobs if job not in jobs]

    def find(self, job_id: str) -> ReferenceJob | None:
        """Return the job of this id."""
        return next((job for job in self.jobs if job.new.id == job_id), None)

    def select(self, queue: str, *states: JobState) -> list[ReferenceJob]:
        """Return the jobs of a queue in these states, by their places."""
        found = [job for job in self.jobs if job.new.queue_name == queue and job.state in states]
        return sorted(found, key=lambda job: job.place)

    def held(self, lock: Lock) -> ReferenceJob | None:
        """Return the job that this lock holds."""
        job = self.find(lock.job_id)
        return job if job is not None and job.state is JobState.ACTIVE and job.token == lock.token else None

    def held_by(self, session_id: str) -> list[ReferenceJob]:
        """Return the jobs that a session holds."""
        return [job for job in self.jobs if job.state is JobState.ACTIVE and job.token and job.token[0] == session_id]

    def wanted(self, want: Want) -> list[ReferenceJob]:
        """Return the waiting jobs that a want is about, in any order, as many as there are."""
        paused = self.paused.get(want.queue_name, set())
        return [
            job
            for job in self.select(want.queue_name, JobState.WAITING)
            if not {ALL_NAMES, job.new.name} & paused
            and (job.stalled_count > 0) == want.is_suspect
            and want.job_name in (None, job.new.name)
        ]

    def suspect_queues(self, queues: Sequence[str]) -> list[str]:
        """Return the queues that have a suspect whose name is not paused."""
        return [queue for queue in queues if self.wanted(Want(queue, 1, is_suspect=True))]

    def next_due(self, queues: Sequence[str]) -> datetime | None:
        """Return when the next delayed job is due."""
        return min((job.run_at for queue in queues for job in self.select(queue, JobState.DELAYED)), default=None)

    def lock_ends_at(self, job: ReferenceJob) -> datetime:
        """Return when the lock of an active job ends: its session's."""
        assert job.token is not None, f"{job.new.id} is active without a token"
        return self.sessions[job.token.session_id].expires_at

    def stalled(self, threshold: timedelta) -> list[str]:
        """Return the ids of active jobs whose lock has been over for longer than this."""
        active = [job for job in self.jobs if job.state is JobState.ACTIVE]
        return sorted(job.new.id for job in active if self.now() - self.lock_ends_at(job) > threshold)

    def views(self) -> dict[str, JobView]:
        """Return all that a store must agree on, by job id."""
        return {job.new.id: _view(job) for job in self.jobs}


def _view(job: ReferenceJob) -> JobView:
    new = job.new
    described = (new.queue_name, new.name, job.payload, job.priority, job.state, job.created_at, job.run_at)
    counted = (job.attempts_made, job.stalled_count, job.finished_at, job.result, job.error is not None)
    return (*described, *counted, job.expires_at, *_lock_view(job.state, job.token, job.started_at))


def view_of(job: JobData) -> JobView:
    """Return of a job in a store what `ReferenceTables.views` tells of its own."""
    described = (job.queue_name, job.name, job.payload, job.priority, job.state, job.created_at, job.run_at)
    counted = (job.attempts_made, job.stalled_count, job.finished_at, job.result, job.error is not None)
    return (*described, *counted, job.expires_at, *_lock_view(job.state, job.token, job.started_at))


def _lock_view(state: JobState, token: LockToken | None, started_at: datetime | None) -> JobView:
    return (token, started_at) if state is JobState.ACTIVE else ()
