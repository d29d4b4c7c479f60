"""The reference: a store as the contract's words put it, in lists and plain loops, for comparison and nothing else.

It knows nothing of speed, of tasks or of openings, and is one long module so that it reads as the contract does.
Where the contract leaves something open, so does the reference: `ReferenceStore.views` and `view_of` keep only what
every store must agree on.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

from attrs import Factory, define

from conveyor.model.job import AttemptOutcome
from conveyor.model.locks import Lock, LockToken
from conveyor.model.queries import ALL_NAMES, Added, Want
from conveyor.model.states import SETTLED_STATES, TRANSITIONS, Command, JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from conveyor.model.job import JobData, NewJob
    from conveyor.model.settlement import Settlement

__all__ = ["ReferenceJob", "ReferenceStore", "view_of"]

# What every store must agree on of a job, apart from its history: the fields that the contract fixes in its state.
JobView: TypeAlias = tuple[object, ...]

NO_TIME: Final = timedelta(0)


@define
class ReferenceJob:
    """A job, and all that happened to it. `place` is its number in the order of adding."""

    new: NewJob
    place: int
    created_at: datetime
    run_at: datetime
    payload: bytes
    state: JobState = JobState.WAITING
    attempts_made: int = 0
    stalled_count: int = 0
    token: LockToken | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    result: bytes | None = None
    error: str | None = None
    lines: int = 0
    attempts: list[tuple[int, LockToken, datetime | None, datetime, AttemptOutcome]] = Factory(list)

    def order(self, is_lifo_wanted: bool) -> tuple[int, bool, float, int]:
        """Return its place in the line: priority, then lifo jobs before the others, then time, then sequence."""
        is_lifo = self.new.options.lifo
        sign = -1 if is_lifo or is_lifo_wanted else 1
        return (self.new.options.priority, not is_lifo, sign * self.run_at.timestamp(), sign * self.place)


@define
class ReferenceSession:
    """A worker session: when its lock ends, and the fetch numbers it has used."""

    expires_at: datetime
    fetches: list[int] = Factory(list)


class ReferenceStore:
    """Every verb that the state machine uses, answered in the same terms as by the store under test."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now
        self.jobs: list[ReferenceJob] = []
        self.sessions: dict[str, ReferenceSession] = {}
        self.paused: dict[str, set[str]] = {}
        self.removed: list[tuple[str, LockToken, AttemptOutcome]] = []
        self._places = 0

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

    def save(self, jobs: Sequence[NewJob]) -> list[Added]:
        """Add jobs."""
        return [self._save(job) for job in jobs]

    def open(self, session_id: str, lock: timedelta) -> None:
        """Open a session, or renew it."""
        self.sessions.setdefault(session_id, ReferenceSession(self.now())).expires_at = self.now() + lock

    def renew(self, session_id: str, lock: timedelta) -> bool:
        """Keep what a session holds."""
        if session_id in self.sessions:
            self.sessions[session_id].expires_at = self.now() + lock
        return session_id in self.sessions

    def close(self, session_id: str) -> int:
        """End a session; what it holds waits again."""
        held = self.held_by(session_id)
        for job in held:
            job.state = JobState.WAITING
        self.sessions.pop(session_id, None)
        return len(held)

    def fetch(self, wants: Sequence[Want], session_id: str, lock: timedelta, number: int) -> list[str]:
        """Lock the next jobs, or tell what this fetch locked before."""
        session, token = self.sessions[session_id], LockToken(session_id, number)
        session.expires_at = max(session.expires_at, self.now() + lock)
        if number in session.fetches:
            return sorted(job.new.id for job in self.held_by(session_id) if job.token == token)
        session.fetches.append(number)
        fetched: list[str] = []
        for want in wants:
            ready = [job for job in self.select(want.queue_name, JobState.WAITING) if self._is_wanted(job, want)]
            limit = want.limit
            if want.is_suspect:
                limit = 0 if any(job.stalled_count for job in self.held_by(session_id)) else 1
            for job in sorted(ready, key=lambda job: job.order(want.lifo and not want.is_suspect))[:limit]:
                job.state, job.token, job.started_at = JobState.ACTIVE, token, self.now()
                fetched.append(job.new.id)
        return fetched

    def settle(self, settlements: Iterable[Settlement]) -> list[str]:
        """End runs; return the ids refused."""
        return [one.job_id for one in settlements if not self._settle(one)]

    def extend(self, locks: Iterable[Lock], lock: timedelta) -> list[Lock]:
        """Keep locks; return those lost."""
        lost = [one for one in locks if self.held(one) is None]
        for one in locks:
            if one not in lost:
                session = self.sessions[one.token.session_id]
                session.expires_at = max(session.expires_at, self.now() + lock)
        return lost

    def release(self, locks: Iterable[Lock]) -> list[Lock]:
        """Hand jobs back; return the locks lost."""
        lost = []
        for one in locks:
            job = self.held(one)
            if job is None:
                lost.append(one)
            else:
                job.state = JobState.WAITING
        return lost

    def write(self, lock: Lock) -> bool:
        """Let a run write a log line; return whether it may."""
        job = self.held(lock)
        if job is not None:
            job.lines += 1
        return job is not None

    def command(self, job_id: str, command: Command, payload: bytes | None = None) -> JobState | str | None:
        """Let an operator cancel, promote, rerun or remove; return the new state, or the name of the error."""
        job = self.find(job_id)
        if job is None:
            return "JobNotFoundError"
        if (job.state, command) not in TRANSITIONS:
            return "InvalidJobStateError"
        if command is Command.REMOVE:
            self.jobs.remove(job)
            return None
        if command is Command.CANCEL:
            self._cancel(job)
        elif command is Command.PROMOTE:
            job.state, job.run_at = JobState.WAITING, self.now()
        else:
            self._rerun(job, payload)
        return job.state

    def promote_due(self, queues: Sequence[str]) -> int:
        """Promote what is due."""
        due = [job for queue in queues for job in self.select(queue, JobState.DELAYED) if job.run_at <= self.now()]
        for job in due:
            job.state = JobState.WAITING
        return len(due)

    def suspect_queues(self, queues: Sequence[str]) -> list[str]:
        """Return the queues that have a suspect whose name is not paused."""
        wants = [Want(queue, 1, is_suspect=True) for queue in queues]
        return [
            want.queue_name
            for want in wants
            if any(self._is_wanted(job, want) for job in self.select(want.queue_name, JobState.WAITING))
        ]

    def next_due(self, queues: Sequence[str]) -> datetime | None:
        """Return when the next delayed job is due."""
        return min((job.run_at for queue in queues for job in self.select(queue, JobState.DELAYED)), default=None)

    def reclaim(self, max_stalled: int) -> list[str]:
        """Take jobs away from sessions whose lock is over; return their ids."""
        stalled = [job for job in self.jobs if job.state is JobState.ACTIVE and self.expires_at(job) <= self.now()]
        for job in stalled:
            job.stalled_count += 1
            self._end_run(job, AttemptOutcome.STALLED)
            if job.stalled_count > max_stalled:
                job.state, job.finished_at, job.error = JobState.FAILED, self.now(), "stalled"
            else:
                job.state = JobState.WAITING
        return sorted(job.new.id for job in stalled)

    def drain(self, queue: str) -> int:
        """Remove what has not begun."""
        return self._remove(self.select(queue, JobState.WAITING, JobState.DELAYED, JobState.WAITING_CHILDREN))

    def clean(self, queue: str, state: JobState, grace: timedelta) -> int:
        """Remove what ended longer ago than `grace`."""
        settled = self.select(queue, state)
        return self._remove([job for job in settled if job.finished_at and self.now() - job.finished_at > grace])

    def retry(self, queue: str, state: JobState) -> int:
        """Rerun settled jobs, oldest first."""
        settled = sorted(self.select(queue, state), key=lambda job: job.finished_at or self.now())
        for job in settled:
            self._rerun(job, None)
        return len(settled)

    def expires_at(self, job: ReferenceJob) -> datetime:
        """Return when the lock of an active job ends: its session's."""
        assert job.token is not None, f"{job.new.id} is active without a token"
        return self.sessions[job.token.session_id].expires_at

    def views(self) -> dict[str, JobView]:
        """Return all that a store must agree on, by job id."""
        return {job.new.id: _view(job) for job in self.jobs}

    def stalled(self) -> list[str]:
        """Return the ids of active jobs whose lock has been over for some time."""
        active = [job for job in self.jobs if job.state is JobState.ACTIVE]
        return sorted(job.new.id for job in active if self.expires_at(job) < self.now())

    def _save(self, new: NewJob) -> Added:
        known = self.find(new.id)
        if known is not None:
            old = known.new
            is_same = (old.queue_name, old.name, old.payload) == (new.queue_name, new.name, new.payload)
            return Added.ADDED if is_same else Added.DUPLICATE
        now, delay = self.now(), new.delay or NO_TIME
        self._places += 1
        state = JobState.DELAYED if delay > NO_TIME else JobState.WAITING
        self.jobs.append(ReferenceJob(new, self._places, now, now + delay, new.payload, state))
        return Added.ADDED

    def _is_wanted(self, job: ReferenceJob, want: Want) -> bool:
        is_paused = bool({ALL_NAMES, job.new.name} & self.paused.get(job.new.queue_name, set()))
        is_suspect = job.stalled_count > 0
        return not is_paused and is_suspect == want.is_suspect and want.job_name in (None, job.new.name)

    def _settle(self, settlement: Settlement) -> bool:
        job = self.held(Lock(settlement.job_id, settlement.token))
        if job is None:
            return self._was_applied(settlement)
        target = TRANSITIONS[JobState.ACTIVE, settlement.command]
        assert target is not None, f"{settlement.command} does not end a run"
        self._end_run(job, settlement.outcome)
        job.state, job.error = target, None if settlement.error is None else str(settlement.error)
        job.attempts_made += settlement.is_counted
        if target in SETTLED_STATES:
            job.result, job.finished_at = settlement.result, self.now()
        else:
            job.run_at = self.now() + settlement.delay
        if settlement.is_removed and target in SETTLED_STATES:
            self.jobs.remove(job)
            self.removed.append((settlement.job_id, settlement.token, settlement.outcome))
        return True

    def _was_applied(self, settlement: Settlement) -> bool:
        job = self.find(settlement.job_id)
        ended = [] if job is None else [(one[1], one[4]) for one in job.attempts]
        run = (settlement.token, settlement.outcome)
        return run in ended or (settlement.job_id, *run) in self.removed

    def _end_run(self, job: ReferenceJob, outcome: AttemptOutcome) -> None:
        assert job.token is not None, f"{job.new.id} ran without a token"
        job.attempts.append((job.attempts_made + 1, job.token, job.started_at, self.now(), outcome))

    def _cancel(self, job: ReferenceJob) -> None:
        if job.state is JobState.ACTIVE:
            self._end_run(job, AttemptOutcome.CANCELLED)
        job.state, job.finished_at, job.error = JobState.CANCELLED, self.now(), "cancelled"

    def _rerun(self, job: ReferenceJob, payload: bytes | None) -> None:
        self._places += 1
        job.place, job.state, job.run_at = self._places, JobState.WAITING, self.now()
        job.attempts_made = job.stalled_count = 0
        job.result = job.error = job.finished_at = None
        job.payload = job.payload if payload is None else payload

    def _remove(self, jobs: Sequence[ReferenceJob]) -> int:
        self.jobs = [job for job in self.jobs if job not in jobs]
        return len(jobs)


def _view(job: ReferenceJob) -> JobView:
    new = job.new
    described = (new.queue_name, new.name, job.payload, new.options.priority, job.state, job.created_at, job.run_at)
    counted = (job.attempts_made, job.stalled_count, job.finished_at, job.result, job.error is not None)
    return (*described, *counted, *((job.token, job.started_at) if job.state is JobState.ACTIVE else ()))


def view_of(job: JobData) -> JobView:
    """Return of a job in a store what `ReferenceStore.views` tells of its own."""
    described = (job.queue_name, job.name, job.payload, job.priority, job.state, job.created_at, job.run_at)
    counted = (job.attempts_made, job.stalled_count, job.finished_at, job.result, job.error is not None)
    return (*described, *counted, *((job.token, job.started_at) if job.state is JobState.ACTIVE else ()))
